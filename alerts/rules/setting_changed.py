"""A setting has another value than before."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules._tables import table_block
from pgvigil.model.change import Change
from pgvigil.model.evidence import Block, Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line
from pgvigil.units import DurationS

_TOGETHER = 10  # more that change at once are one deployment, and told as one
_SHOWN = 40
_ABSENT = "(none)"
# Where it differs, another server answers by the same name, as after a failover. Its settings are others; what roles
# and databases have is in the catalogue, which is the same there.
_MACHINE = "data_directory"


class SettingChangedParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    within_s: DurationS = Field(86400.0, alias="within", description="How long a change is told.")
    ignore: tuple[str, ...] = Field((), description="Settings that may change.")


def evaluate(
    _reading: Snapshot[Any] | Delta[Any], params: SettingChangedParams, context: Context
) -> Judgement:
    since = context.now - timedelta(seconds=params.within_s)
    by_key: defaultdict[str, list[Change]] = defaultdict(list)
    elsewhere = {change.at for change in context.changes if change.key == _MACHINE}
    for change in context.changes:
        told = change.at >= since and _counts(change) and _name(change) not in params.ignore
        if told and (" " in change.key or change.at not in elsewhere):
            by_key[change.key].append(change)
    groups = _grouped(by_key.values())
    found = tuple(_finding(group, params, context) for group in groups)
    return Judgement(found, Scope())


def _counts(change: Change) -> bool:
    """A setting that comes or goes belongs to a library or to another version; one of a role was given or taken."""
    return " " in change.key or (change.old is not None and change.new is not None)


def _name(change: Change) -> str:
    return change.key.partition(" ")[0]


def _grouped(histories: Iterable[Sequence[Change]]) -> list[list[Change]]:
    """The changes of each finding, the last one last: of one setting, or of many that changed at once."""
    found = sorted(histories, key=lambda changes: changes[-1].key)
    at_once: defaultdict[object, list[Change]] = defaultdict(list)
    for changes in found:
        at_once[changes[-1].at].append(changes[-1])
    many = [together for together in at_once.values() if len(together) > _TOGETHER]
    told = {change.key for together in many for change in together}
    return many + [list(changes) for changes in found if changes[-1].key not in told]


def _finding(changes: list[Change], params: SettingChangedParams, context: Context) -> Finding:
    last = changes[-1]
    many = len({change.key for change in changes}) > 1
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=f"settings {last.at.isoformat(timespec='seconds')}" if many else f"setting {last.key}",
        level=params.level,
        summary=_many(changes) if many else _one(last),
        evidence=Evidence(
            impact="Trouble that began since then may come from it; so may an improvement.",
            figures=() if many else _figures(last),
            blocks=_block(changes),
            cause="" if many else _cause(last),
        ),
        steps=_steps(changes),
    )


def _one(change: Change) -> str:
    return f"{_key(change)} was changed from {_value(change.old)} to {_value(change.new)}{_when(change)}"


def _many(changes: Sequence[Change]) -> str:
    names = ", ".join(_name(change) for change in changes[:3])
    return f"{counted(len(changes), 'setting')} changed{_when(changes[-1])}: {names}, ..."


def _key(change: Change) -> str:
    return one_line(change.key, 120)


def _value(value: str | None) -> str:
    return _ABSENT if value is None else one_line(value, 60) or '""'


def _when(change: Change) -> str:
    return f" between {change.after:%Y-%m-%d %H:%M} and {change.at:%H:%M} UTC"


def _figures(change: Change) -> tuple[Figure, ...]:
    return (
        Figure("Setting", _key(change)),
        Figure("Before", _value(change.old)),
        Figure("Now", _value(change.new)),
        Figure("Last seen before", f"{change.after:%Y-%m-%d %H:%M:%S} UTC"),
        Figure("First seen changed", f"{change.at:%Y-%m-%d %H:%M:%S} UTC"),
    )


def _block(changes: Sequence[Change]) -> tuple[Block, ...]:
    if len(changes) == 1:
        return ()
    rows = [
        (f"{change.at:%m-%d %H:%M}", _key(change), _value(change.old), _value(change.new))
        for change in changes
    ]
    return (table_block("Changes", ("seen", "setting", "before", "now"), rows, _SHOWN),)


def _cause(change: Change) -> str:
    if " " in change.key:
        return "Somebody ran ALTER ROLE or ALTER DATABASE; sessions that began before keep what they have."
    return "The configuration was reloaded or the server restarted, after ALTER SYSTEM or an edited file."


def _steps(changes: Sequence[Change]) -> tuple[Step, ...]:
    own = [change for change in changes if " " in change.key]
    names = sorted({_name(change) for change in changes if " " not in change.key})
    listed = ", ".join(map(quote_text, names))
    found = []
    if names:
        found.append(
            Step(
                "See where it is set." if len(names) == 1 else "See where they are set.",
                "SELECT name, setting, unit, source, sourcefile, sourceline FROM pg_settings"
                f" WHERE name IN ({listed})",
            )
        )
    if own:
        found.append(
            Step(
                "See what roles and databases have of their own.",
                "SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting",
            )
        )
    found.append(
        Step(
            "If nobody meant it: set it back where it stands now, have it read, and see what gets better by it."
        )
    )
    return tuple(found)


RULE = Rule(
    name="setting_changed",
    watches=("settings",),
    params=SettingChangedParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A setting of the server, of a role or of a database has another value than before. It is no fault by"
        " itself; it is the first thing to know when one begins. Settings that can hold a secret are compared by a"
        " hash. Those that pgvigil's sessions set for themselves (work_mem, statement_timeout, lock_timeout, jit,"
        " search_path, TimeZone and a few more) cannot be seen from them. Where data_directory differs too, another"
        " server answers, as after a failover: what merely differs between the two is not told.",
        magnitude="",
        why_these_defaults="Info: nobody is woken by a change that somebody made. It is told for 24 hours because that"
        " is how far back one looks when something became slow. More than ten settings that change between the same"
        " two readings are one deployment and told as one. pgmonitor and Percona alert on every change; people turn"
        " such alerts off.",
        evidence="The setting, the value before and now, and the two readings between which it changed.",
        what_to_do="If nobody knows of it, find the file and line in pg_settings, and the time of the last reload with"
        " pg_conf_load_time(). Settings that shall change freely go into `ignore`.",
        how_to_look="SELECT name, setting, unit, source, sourcefile, sourceline, pending_restart FROM pg_settings"
        " WHERE source NOT IN ('default', 'override', 'client')",
    ),
)
