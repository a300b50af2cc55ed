"""A setting that loses data, hides its loss, or lets a fault grow."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from alerts.rules._dangers import DANGERS, Danger
from alerts.rules._storage import foreign_storage
from collectors.settings import Override, Setting, SettingsReading, place
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, RuleParams
from pgvigil.sql.identifiers import quote_identifier, quote_text
from pgvigil.text import one_line

_RELOAD = Step("Have it read.", "SELECT pg_reload_conf()")


class DangerousSettingParams(RuleParams):
    ignore: tuple[str, ...] = Field((), description="Settings that are meant to be as they are.")
    severities: dict[str, Literal["info", "warning", "critical"]] = Field(
        {}, description="Severity by setting, where it is to be another than the rule's own."
    )

    def level(self, name: str) -> Level:
        return Level.from_word(self.severities[name]) if name in self.severities else DANGERS[name].level


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: DangerousSettingParams, context: Context
) -> Judgement:
    rows: SettingsReading = reading.rows
    return Judgement((*_server(rows, params, context), *_own(rows, params, context)), Scope())


def _server(rows: SettingsReading, params: DangerousSettingParams, context: Context) -> Iterator[Finding]:
    for name, danger in DANGERS.items():
        setting = rows.settings.get(name)
        if setting is None or setting.value not in danger.bad or name in params.ignore:
            continue
        if not (danger.storage and foreign_storage(rows, context)):
            yield _finding(name, setting.value, danger, "", _steps(setting, danger), params, context)


def _own(rows: SettingsReading, params: DangerousSettingParams, context: Context) -> Iterator[Finding]:
    for override in rows.overrides:
        danger = DANGERS.get(override.name)
        if danger is None or not danger.own or override.name in params.ignore:
            continue
        if override.value.lower() in danger.bad | ({"true", "1", "yes"} if "on" in danger.bad else set()):
            steps = (Step("Take it back; sessions get it when they connect anew.", _reset(override)),)
            yield _finding(
                override.name,
                override.value,
                danger,
                f" {place(override)}",
                (*steps, *danger.after),
                params,
                context,
            )


def _finding(
    name: str,
    value: str,
    danger: Danger,
    where: str,
    steps: tuple[Step, ...],
    params: DangerousSettingParams,
    context: Context,
) -> Finding:
    whose = f" {one_line(where.strip(), 120)}" if where else ""
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=f"setting {name}{where}",
        level=params.level(name),
        summary=f"{name} is {one_line(value, 40)}{whose}",
        evidence=Evidence(
            impact=danger.impact,
            figures=(
                Figure("Setting", name),
                Figure("Value", one_line(value, 40)),
                *((Figure("Whose", whose.strip()),) if where else ()),
                Figure("Described in", danger.source),
            ),
            cause="It was set for a bulk load, a test or a rescue, and stayed.",
        ),
        steps=steps,
    )


def _steps(setting: Setting, danger: Danger) -> tuple[Step, ...]:
    if not danger.good:
        return (
            Step("Give it a command that keeps WAL, or set archive_mode to off at the next restart."),
            *danger.after,
        )
    change = Step("Set it back.", f"ALTER SYSTEM SET {setting.name} = {quote_text(danger.good)}")
    if setting.waits:
        return (Step("Restart the server: a change of it already waits for that."), *danger.after)
    if setting.context == "postmaster":
        return (change, Step("Restart the server: it is read at start only."), *danger.after)
    return (change, _RELOAD, *danger.after)


def _reset(override: Override) -> str:
    database = "" if override.database is None else quote_identifier(override.database)
    if override.role is None and override.database is not None:
        return f"ALTER DATABASE {database} RESET {quote_identifier(override.name)}"
    role = "ALL" if override.role is None else quote_identifier(override.role)
    where = f" IN DATABASE {database}" if database else ""
    return f"ALTER ROLE {role}{where} RESET {quote_identifier(override.name)}"


RULE = Rule(
    name="dangerous_setting",
    watches=("settings",),
    params=DangerousSettingParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A setting of the server, or one that a role or database begins its sessions with, loses data (fsync,"
        " full_page_writes, zero_damaged_pages), hides damage (ignore_checksum_failure, ignore_invalid_pages,"
        " ignore_system_indexes, data_sync_retry), lets a fault grow (autovacuum, track_counts) or leaves foreign keys"
        " unchecked (session_replication_role). Of less weight: synchronous_commit off, an archive_command that keeps"
        " nothing, password_encryption md5, allow_system_table_mods.",
        magnitude="",
        why_these_defaults="Critical is what corrupts or destroys data at the next crash or read: fsync,"
        " full_page_writes, zero_damaged_pages (PostgreSQL manual, Write Ahead Log and Developer Options; pganalyze"
        " makes fsync critical too). A warning is what hides damage or lets it grow. Info is a trade that many make on purpose, such as"
        " synchronous_commit (at most three times wal_writer_delay is lost, nothing becomes inconsistent). fsync and"
        " full_page_writes are not judged on Aurora, Neon and AlloyDB, whose storage writes pages by other means.",
        evidence="The setting, its value, whose it is, and where the manual describes it.",
        what_to_do="Set it back and reload; the message says what else. What is meant to be so goes into `ignore`, for"
        " one target by an override: full_page_writes on ZFS, session_replication_role of a replication tool's role.",
        how_to_look="SELECT name, setting, source, sourcefile FROM pg_settings WHERE name IN ('fsync',"
        " 'full_page_writes', 'zero_damaged_pages', 'autovacuum', 'track_counts', 'synchronous_commit');"
        " SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting",
    ),
)
