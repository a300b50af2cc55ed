"""The configuration of a PgBouncer is another one than before."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules._tables import table_block
from collectors.pgbouncer_server import VERSION_KEY
from pgvigil.model.change import Change
from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.text import one_line
from pgvigil.units import DurationS

_SHOWN = 40
_NAMED = 3


class PgbouncerSettingChangedParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    within_s: DurationS = Field(86400.0, alias="within", description="How long a change is told.")


def evaluate(
    _reading: Snapshot[Any] | Delta[Any], params: PgbouncerSettingChangedParams, context: Context
) -> Judgement:
    since = context.now - timedelta(seconds=params.within_s)
    upgrades = {each.at for each in context.changes if each.key == VERSION_KEY}
    changes = [each for each in context.changes if each.at >= since and _counts(each, upgrades)]
    found = (_finding(changes, params, context),) if changes else ()
    return Judgement(found, Scope())


def _counts(change: Change, upgrades: set[Any]) -> bool:
    """Settings that come or go with another version are that version's matter."""
    came_or_went = change.old is None or change.new is None
    return change.key != VERSION_KEY and not (came_or_went and change.at in upgrades)


def _finding(changes: list[Change], params: PgbouncerSettingChangedParams, context: Context) -> Finding:
    last = changes[-1]
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="configuration",
        level=params.level,
        summary=_summary(changes),
        evidence=Evidence(
            impact="Trouble that began since then may come from it; so may an improvement.",
            blocks=(
                table_block(
                    "Changes",
                    ("seen", "setting", "before", "now"),
                    [
                        (f"{each.at:%m-%d %H:%M}", _name(each), _value(each.old), _value(each.new))
                        for each in reversed(changes)
                    ],
                    _SHOWN,
                ),
            ),
            cause=f"Reloaded, restarted, or SET in the admin console between {last.after:%Y-%m-%d %H:%M} and"
            f" {last.at:%H:%M} UTC. What was SET there is gone at the next restart.",
        ),
        steps=(
            Step("Compare what is in force with pgbouncer.ini, in the admin console.", "SHOW CONFIG;"),
            Step(
                "If nobody meant it: mend pgbouncer.ini, then have it read. Clients stay connected.",
                "RELOAD;",
            ),
        ),
    )


def _summary(changes: list[Change]) -> str:
    if len(changes) == 1:
        (change,) = changes
        return f"{_name(change)} was changed from {_value(change.old)} to {_value(change.new)}"
    names = ", ".join(sorted({_name(each) for each in changes})[:_NAMED])
    return f"{counted(len(changes), 'setting')} of PgBouncer changed: {names}{' ...' if len(changes) > _NAMED else ''}"


def _name(change: Change) -> str:
    return one_line(change.key.removeprefix("setting "), 60)


def _value(value: str | None) -> str:
    return "(none)" if value is None else one_line(value, 60) or '""'


RULE = Rule(
    name="pgbouncer_setting_changed",
    watches=("pgbouncer_server",),
    params=PgbouncerSettingChangedParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="Settings of a PgBouncer have other values than before. It is no fault by itself; it is the first"
        " thing to know when one begins. Values that may hold a secret (auth_query, LDAP) are not read.",
        magnitude="",
        why_these_defaults="Info: nobody is woken by a change that somebody made. It is told for 24 hours because that"
        " is how far back one looks when something became slow. All changes are one finding: one reload, one line.",
        evidence="Each setting with its value before and now.",
        what_to_do="If nobody knows of it, compare pgbouncer.ini with its history. A value that was SET in the console"
        " and is not in the file is lost at the next restart.",
        how_to_look="SHOW CONFIG;",
    ),
)
