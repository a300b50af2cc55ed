"""The log goes on on another timeline: somebody was promoted."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from alerts.rules._replication import fresh
from alerts.rules._roles import FAILOVER, between, last_change, stamps
from collectors.cluster import ClusterReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.units import DurationS


class TimelineChangedParams(SeverityParams):
    within_s: DurationS = Field(3600.0, alias="within", description="How long a change is told.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: TimelineChangedParams, context: Context
) -> Judgement:
    rows: ClusterReading = reading.rows
    change = last_change(context.changes, "timeline")
    if change is None or change.at < context.now - timedelta(seconds=params.within_s):
        return Judgement((), Scope())
    leader = _leader(rows, context)
    of = f", as {leader} does" if leader else ""
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="timeline",
        # Who follows a promoted server that is watched says nothing new.
        level=min(params.level, Level.INFO) if leader else params.level,
        summary=f"The server is on timeline {change.new}, and was on {change.old}{of}; {between(change)}",
        evidence=Evidence(
            impact="Somebody was promoted. Backups need the new timeline's history file; a standby that went further on the"
            " old one must be rewound or made anew.",
            figures=(
                Figure("Was", change.old or ""),
                Figure("Is", change.new or ""),
                Figure("Role", rows.role),
                *stamps(change),
            ),
            cause="A failover, a switch-over, or a restore to a point in time.",
        ),
        steps=(
            Step("See the timeline.", "SELECT timeline_id, checkpoint_lsn FROM pg_control_checkpoint()"),
            Step("See that the archive gets the new timeline's log and its .history file.", _ARCHIVER),
        ),
        about=frozenset({FAILOVER}),
    )
    return Judgement((finding,), Scope())


def _leader(rows: ClusterReading, context: Context) -> str:
    """The watched primary that this standby follows onto the same timeline."""
    if not rows.in_recovery:
        return ""
    for peer in context.peers:
        cluster: ClusterReading | None = fresh(peer, "cluster", context.now)
        if cluster is not None and not cluster.in_recovery and cluster.timeline == rows.timeline:
            return peer.name
    return ""


_ARCHIVER = (
    "SELECT last_archived_wal, last_archived_time, last_failed_wal, last_failed_time FROM pg_stat_archiver"
)

RULE = Rule(
    name="timeline_changed",
    watches=("cluster",),
    params=TimelineChangedParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="The server writes or follows another timeline than before: there was a promotion or a restore. Where the"
        " role changed as well it is part of that incident (role_changed), and where a watched primary leads on the same"
        " timeline it is only info.",
        magnitude="",
        why_these_defaults="A warning, told and not paged: by itself it breaks nothing, and it is the first thing to know when"
        " backups or standbys do not follow. It is told for an hour.",
        evidence="Old and new timeline, the role, and the two readings between which it changed.",
        what_to_do="If nobody planned it, find out who was promoted. See that the archive has the new .history file, and that"
        " all standbys are on the new timeline.",
        how_to_look="SELECT timeline_id, prev_timeline_id FROM pg_control_checkpoint()",
    ),
)
