"""Two servers of one cluster take writes: split brain."""

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pydantic import Field

from alerts.rules import _dormant
from alerts.rules._replication import fresh
from alerts.rules._roles import last_change
from collectors.cluster import ClusterReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Peer, Rule, RuleDoc, SeverityParams
from pgvigil.units import DurationS, format_size


class TwoPrimariesParams(SeverityParams):
    severity: str = Field(
        "critical", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    for_s: DurationS = Field(30.0, alias="for", description="How long it must hold before it fires.")
    within_s: DurationS = Field(
        7 * 86400.0, alias="within", description="How long ago one of them may have been a standby."
    )
    apart: tuple[str, ...] = Field(
        (), description='Targets that are copies on their own, such as "staging-*": not held against anybody.'
    )


class _Other(NamedTuple):
    peer: Peer
    reading: ClusterReading


def evaluate(reading: Snapshot[Any] | Delta[Any], params: TwoPrimariesParams, context: Context) -> Judgement:
    rows: ClusterReading = reading.rows
    if _apart(context.target, params):
        return Judgement((), Scope())
    peers = [peer for peer in context.peers if not _apart(peer.name, params)]
    known = {peer.name: fresh(peer, "cluster", context.now) for peer in peers}
    silent = frozenset(_subject(name) for name, cluster in known.items() if cluster is None)
    scope = Scope(not_covered=silent, reason="the other server cannot be asked" if silent else "")
    if rows.in_recovery or not _was_standby(rows, params, context):
        return Judgement((), scope)
    others = [
        _Other(peer, known[peer.name])
        for peer in peers
        if known[peer.name] is not None and _rival(rows, known[peer.name], peer, context)
    ]
    return Judgement(tuple(_finding(rows, other, params, context) for other in others), scope)


def _apart(name: str, params: TwoPrimariesParams) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in params.apart)


def _subject(name: str) -> str:
    return f"primary {name}"


def _was_standby(rows: ClusterReading, params: TwoPrimariesParams, context: Context) -> bool:
    """A copy that never streamed is a clone with the same identifier, and does no harm.

    The server itself says so while it has not been restarted since; the journal afterwards.
    """
    change = last_change(context.changes, "role")
    since = context.now - timedelta(seconds=params.within_s)
    return rows.streamed or (change is not None and change.new == "primary" and change.at >= since)


def _rival(rows: ClusterReading, other: ClusterReading, peer: Peer, context: Context) -> bool:
    """Another primary. The same start means the same server by two addresses; of two promoted ones, one tells."""
    if other.in_recovery or other.started_at == rows.started_at:
        return False
    return not (other.streamed and rows.streamed and peer.name < context.target)


def _finding(rows: ClusterReading, other: _Other, params: TwoPrimariesParams, context: Context) -> Finding:
    name = other.peer.name
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_subject(name),
        level=params.level,
        summary=f"Split brain: {context.target} was promoted, and {name} of the same cluster is a primary too",
        evidence=Evidence(
            impact="Both take writes, and what one commits the other does not have. Every minute makes it harder to bring"
            " them together.",
            figures=(
                Figure("System identifier", str(rows.system_identifier)),
                Figure(f"Timeline of {context.target}", _shown(rows.timeline)),
                Figure(f"Timeline of {name}", _shown(other.reading.timeline)),
                *_distance(rows, other.reading),
            ),
            cause="A failover that did not stop the former primary, or a former primary that somebody started again.",
        ),
        steps=(
            Step(
                "See which of them clients write to: on both, run this twice.",
                "SELECT pg_is_in_recovery(), pg_current_wal_lsn(), count(*) AS clients FROM pg_stat_activity"
                " WHERE backend_type = 'client backend'",
            ),
            Step(
                "Stop writes on the one that is to yield: take it out of the pooler or the DNS, then stop the server."
            ),
            Step(
                "Keep its data until somebody has looked for writes that only it has; then pg_rewind or a new base backup."
            ),
            Step(
                "If one of them is a copy on its own (staging), name it in [rules.two_primaries] apart, and give copies"
                " an identifier of their own."
            ),
        ),
    )


def _shown(timeline: int | None) -> str:
    return "unknown" if timeline is None else str(timeline)


def _distance(rows: ClusterReading, other: ClusterReading) -> tuple[Figure, ...]:
    if rows.position is None or other.position is None:
        return ()
    return (Figure("Their logs differ in length by", format_size(abs(rows.position - other.position))),)


RULE = Rule(
    name="two_primaries",
    watches=("cluster",),
    params=TwoPrimariesParams,
    evaluate=evaluate,
    dormant=_dormant.alone,
    doc=RuleDoc(
        meaning="Two targets with one system identifier are both primaries, and at least one of them was a standby that"
        " streamed: split brain. The identifier alone proves nothing, for a clone restored from a backup has it too;"
        " such a clone never streamed, and is not held against anybody. Two targets that are one server by two addresses"
        " are known by the moment of its start.",
        magnitude="",
        why_these_defaults="Critical: each commit on the wrong side is lost or must be merged by hand. Thirty seconds pass over"
        " a switch-over in which two readings are not of the same moment. A week after its promotion, and a restart, a"
        " server counts as one on its own.",
        evidence="Both servers, their timelines, and how far their logs are apart.",
        what_to_do="Decide which one stays, keep clients away from the other, and stop it; keep its data until its own writes"
        " were looked for. A replica that was promoted on purpose to live on its own is named in `apart`.",
        how_to_look="SELECT system_identifier, pg_is_in_recovery(), pg_current_wal_lsn() FROM pg_control_system()",
    ),
)
