"""A PgBouncer is another version than before."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from collectors.pgbouncer_server import VERSION_KEY
from pgvigil.model.change import Change
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.text import one_line
from pgvigil.units import DurationS


class PgbouncerVersionChangedParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    within_s: DurationS = Field(86400.0, alias="within", description="How long a change is told.")


def evaluate(
    _reading: Snapshot[Any] | Delta[Any], params: PgbouncerVersionChangedParams, context: Context
) -> Judgement:
    since = context.now - timedelta(seconds=params.within_s)
    changes = [each for each in context.changes if each.key == VERSION_KEY and each.at >= since]
    found = (_finding(changes, params, context),) if changes else ()
    return Judgement(found, Scope())


def _finding(changes: list[Change], params: PgbouncerVersionChangedParams, context: Context) -> Finding:
    last = changes[-1]
    old, new = one_line(last.old or "?", 40), one_line(last.new or "?", 40)
    often = len(changes) > 2
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="version",
        level=params.level,
        summary=f"PgBouncer is {new} and was {old}, since {last.at:%Y-%m-%d %H:%M} UTC at the latest",
        evidence=Evidence(
            impact="Defaults, limits and the handling of prepared statements differ between versions: trouble that"
            " began since then may come from it.",
            figures=(
                Figure("Before", old),
                Figure("Now", new),
                Figure("Last seen before", f"{last.after:%Y-%m-%d %H:%M:%S} UTC"),
                Figure("First seen changed", f"{last.at:%Y-%m-%d %H:%M:%S} UTC"),
                *((Figure("Changes of late", f"{len(changes):,}"),) if often else ()),
            ),
            cause="Several PgBouncers of different versions answer at this address in turn (so_reuseport, or a load"
            " balancer): make each a target of its own."
            if often
            else "It was upgraded or rolled back, or the address leads to another one by now.",
        ),
        steps=(
            Step("Compare the version in the admin console with the one that was meant.", "SHOW VERSION;"),
            Step("Read what changed between the two: https://www.pgbouncer.org/changelog.html"),
        ),
    )


RULE = Rule(
    name="pgbouncer_version_changed",
    watches=("pgbouncer_server",),
    params=PgbouncerVersionChangedParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="The version that PgBouncer tells is another one than at the reading before. It is no fault by itself;"
        " it is good to know when one begins.",
        magnitude="",
        why_these_defaults="Info: nobody is woken by an upgrade. It is told for 24 hours because that is how far back"
        " one looks when something became slow.",
        evidence="Both versions, and the two readings between which it changed. Versions that change to and fro are"
        " several PgBouncers behind one address.",
        what_to_do="Make sure that somebody meant it, and read the changelog between the two.",
        how_to_look="SHOW VERSION;",
    ),
)
