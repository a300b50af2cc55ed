"""Settings were changed that only a restart brings into force."""

from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules._tables import table_block
from collectors.settings import Setting, SettingsReading
from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.redact import redact

_NAMED = 4


class PendingRestartParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: PendingRestartParams, context: Context
) -> Judgement:
    rows: SettingsReading = reading.rows
    if not rows.waiting:
        return Judgement((), Scope())
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="pending restart",
        level=params.level,
        summary=_summary(rows.waiting),
        evidence=Evidence(
            impact="The server runs with values that its configuration no longer names; its next restart, also one after"
            " a crash, brings the new ones, wanted or forgotten.",
            blocks=(
                table_block(
                    "In force until then",
                    ("setting", "value"),
                    [(one.name, redact(one.shown)) for one in rows.waiting],
                    20,
                ),
            ),
            cause="The configuration was changed and reloaded, and these settings are read at start only.",
        ),
        steps=_STEPS,
    )
    return Judgement((finding,), Scope())


def _summary(waiting: tuple[Setting, ...]) -> str:
    names = ", ".join(one.name for one in waiting[:_NAMED])
    more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
    wait = "waits" if len(waiting) == 1 else "wait"
    return f"{counted(len(waiting), 'changed setting')} {wait} for a restart: {names}{more}"


_STEPS = (
    Step(
        "See what the restart will bring (as a superuser).",
        "SELECT name, setting, sourcefile, sourceline FROM pg_file_settings"
        " WHERE name IN (SELECT name FROM pg_settings WHERE pending_restart) ORDER BY seqno",
    ),
    Step(
        "Restart the server at a time that suits, or take the change back and reload.",
        "SELECT pg_reload_conf()",
    ),
)

RULE = Rule(
    name="pending_restart",
    watches=("settings",),
    params=PendingRestartParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="Settings that are read at start only have another value in the configuration than in force. What"
        " somebody believes to be set is not; and the next crash, failover or maintenance changes the server's"
        " behaviour, at a moment when nobody expects it.",
        magnitude="",
        why_these_defaults="Info: the server runs as it did, and a change that waits for the maintenance window is the"
        " usual case. pgmonitor makes it critical; that is a page for something that nobody should do at night.",
        evidence="The settings with the values in force. What waits is in pg_file_settings, which only a superuser"
        " reads.",
        what_to_do="Restart in a maintenance window, standbys first where max_connections and its like grow; or take"
        " the change back.",
        how_to_look="SELECT name, setting, source, sourcefile FROM pg_settings WHERE pending_restart",
    ),
)
