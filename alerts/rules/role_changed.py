"""A standby was promoted, or a primary is a standby now."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from alerts.rules._roles import FAILOVER, between, last_change, stamps
from collectors.cluster import ClusterReading
from pgvigil.model.change import Change
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.units import DurationS


class RoleChangedParams(SeverityParams):
    within_s: DurationS = Field(3600.0, alias="within", description="How long a change is told.")


def evaluate(reading: Snapshot[Any] | Delta[Any], params: RoleChangedParams, context: Context) -> Judgement:
    rows: ClusterReading = reading.rows
    change = last_change(context.changes, "role")
    if change is None or change.at < context.now - timedelta(seconds=params.within_s):
        return Judgement((), Scope())
    timeline = last_change(context.changes, "timeline")
    promoted = not rows.in_recovery
    told = (
        "was promoted: it was a standby, and is the primary"
        if promoted
        else "was the primary, and is a standby now"
    )
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="role",
        level=params.level,
        summary=f"The server {told}{_timeline(timeline)}; {between(change)}",
        evidence=Evidence(
            impact=_impact(context, promoted=promoted),
            figures=(
                Figure("Was", change.old or ""),
                Figure("Is", rows.role),
                *((Figure("Timeline", "unknown" if rows.timeline is None else str(rows.timeline)),)),
                *stamps(change),
            ),
            cause="A switch-over or a failover, by a person or by the cluster manager: its log says why.",
        ),
        steps=_STEPS,
        explains=frozenset({FAILOVER}),
    )
    return Judgement((finding,), Scope())


def _timeline(change: Change | None) -> str:
    return "" if change is None else f" (timeline {change.old} to {change.new})"


def _impact(context: Context, *, promoted: bool) -> str:
    others = [
        peer.name
        for peer in context.peers
        if peer.up and peer.facts is not None and not peer.facts.in_recovery
    ]
    if promoted:
        also = f" {', '.join(others)} was a primary when last connected to." if others else ""
        return f"Writes go here from now on; what the former primary had not sent is lost.{also}"
    return f"Writes fail here; the primary is {', '.join(others) or 'not watched'}."


_STEPS = (
    Step(
        "See the role and the timeline.",
        "SELECT pg_is_in_recovery(), timeline_id FROM pg_control_checkpoint()",
    ),
    Step("Make sure that the former primary is down or a standby: two of them diverge (two_primaries)."),
    Step("See that the other standbys follow the new primary.", "SELECT * FROM pg_stat_replication"),
    Step("Look after what only runs on a primary: backups, scheduled jobs, logical slots (gone before 17)."),
)


RULE = Rule(
    name="role_changed",
    watches=("cluster",),
    params=RoleChangedParams,
    evaluate=evaluate,
    absorbs=frozenset({"timeline_changed"}),
    doc=RuleDoc(
        meaning="The server has another role than before: a standby was promoted, or a primary came back as a standby."
        " Also when that happened while pgvigil was away. The new timeline of a promotion is part of this message.",
        magnitude="",
        why_these_defaults="A warning, told and not paged: after a failover the service works, and what does not work pages by"
        " itself (target_down, two_primaries, slot_lost). It is told for an hour, so that whoever comes to look finds it;"
        " then it is history.",
        evidence="Old and new role, the timelines, and the two readings between which it changed.",
        what_to_do="If nobody planned it, read the log of the cluster manager. See that the former primary is no primary any"
        " more, that the others follow, and that backups and logical slots are where the primary is.",
        how_to_look="SELECT pg_is_in_recovery(), timeline_id FROM pg_control_checkpoint()",
    ),
)
