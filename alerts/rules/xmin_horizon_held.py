"""Somebody keeps vacuum from removing dead rows, for hours."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _horizon
from alerts.rules._sessions import NOTABLE_XIDS, SessionParams
from collectors.xmin_horizon import Holder, XminHorizonReading
from pgvigil.model.evidence import Evidence, Figure
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.series import Point
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc
from pgvigil.text import one_line
from pgvigil.units import DurationS, format_duration


class XminHorizonHeldParams(SessionParams):
    warning: DurationS | None = Field(4 * 3600.0, description="How long it has been held.")
    critical: DurationS | None = Field(24 * 3600.0, description="How long it has been held.")
    min_xids: int = Field(
        NOTABLE_XIDS, ge=0, description="Transaction ids that must have been used since, to count."
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: XminHorizonHeldParams, context: Context
) -> Judgement:
    rows: XminHorizonReading = reading.rows
    if context.facts is not None and context.facts.in_recovery:
        return Judgement((), Scope())
    points = context.history("next_xid")
    judged = [
        each
        for each in rows.holders
        if each.xids >= params.min_xids and each.application not in params.ignore_applications
    ]
    found = (_finding(each, rows, held_s(each, rows.next_xid, points), params, context) for each in judged)
    findings = tuple(each for each in found if each is not None)
    return Judgement(findings, _scope(findings, context))


def _scope(findings: Sequence[Finding], context: Context) -> Scope:
    """Who is not a member of pg_monitor sees no other session's snapshot."""
    if context.facts is None or context.facts.monitor:
        return Scope()
    return Scope(
        only=frozenset(each.subject for each in findings),
        reason="the snapshots of other sessions are hidden: the role is not a member of pg_monitor",
    )


def held_s(holder: Holder, next_xid: int, points: Sequence[Point]) -> float:
    """How long it has held its transaction id, at least.

    Of a prepared transaction its age. Of a session that of its transaction, but no longer than since that id was the
    next one: a transaction may take new snapshots. Of slots and standbys the server does not say it: since the first reading after that id was the
    next one.
    """
    oldest = next_xid - holder.xids
    after = [point for point in points if point.value > oldest]
    before = [point for point in points if point.value <= oldest]
    now = points[-1].at if points else None
    at_most = (now - before[-1].at).total_seconds() if now and before else None
    at_least = (now - after[0].at).total_seconds() if now and after else 0.0
    if holder.since_s is None or holder.kind in {"slot", "slot_catalog"}:
        return at_least
    return holder.since_s if at_most is None or holder.kind == "prepared" else min(holder.since_s, at_most)


def _finding(
    holder: Holder, rows: XminHorizonReading, seconds: float, params: XminHorizonHeldParams, context: Context
) -> Finding | None:
    level = grade(seconds, params)
    if level is None:
        return None
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=holder.database or None,
        subject=_horizon.subject(holder, rows.holders),
        level=level,
        summary=f"Vacuum has been held back for {format_duration(seconds)}, {holder.xids:,} transactions, by"
        f" {_horizon.named(holder)}",
        value=seconds,
        evidence=Evidence(
            impact=_impact(holder),
            figures=(
                Figure("Held for", format_duration(seconds)),
                Figure("Transaction ids since", f"{holder.xids:,}"),
                *((Figure("Database", one_line(holder.database, 60)),) * bool(holder.database)),
                *((Figure("User", one_line(holder.user_name, 60)),) * bool(holder.user_name)),
                *((Figure("Client", one_line(holder.client, 60)),) * bool(holder.client)),
            ),
            blocks=(_horizon.table(rows.holders),),
            cause=_CAUSES[holder.kind],
        ),
        steps=_horizon.steps(holder),
        about=frozenset({_horizon.entity(holder, rows.holders)}),
        explains=frozenset({_horizon.entity(holder, rows.holders), *_horizon.holds_back(holder)}),
    )


def _impact(holder: Holder) -> str:
    if holder.kind == "slot_catalog":
        return "Dead rows of the system catalogues since then cannot be removed: they bloat, and planning with them."
    where = f"of database {one_line(holder.database, 60)}" if holder.kind in {"session", "prepared"} else ""
    return (
        f"No row that died since then can be removed from any table {where}".rstrip()
        + ": tables and indexes grow, queries read dead rows, and old rows are not frozen."
    )


_CAUSES = {
    "session": "A long statement, a dump, or a client that keeps its transaction open.",
    "prepared": "A transaction manager that lost it, or a PREPARE TRANSACTION that nobody meant: it survives restarts.",
    "slot": "A standby with hot_standby_feedback that is away, or that runs a long query.",
    "slot_catalog": "A consumer of logical decoding that is away, stuck, or far behind.",
    "standby": "A long query on the standby, which reports its snapshot here (hot_standby_feedback = on).",
}


RULE = Rule(
    name="xmin_horizon_held",
    watches=("xmin_horizon",),
    params=XminHorizonHeldParams,
    evaluate=evaluate,
    absorbs=frozenset({"autovacuum_behind", "dead_tuples", "slot_inactive"}),
    doc=RuleDoc(
        meaning="Vacuum may remove a dead row only when nobody can see it any more. One old snapshot holds that back for"
        " all tables of its database; a replication slot or a standby for all of the server. Vacuum runs, and"
        " removes nothing. Where nothing else ends it, transaction ids run out.",
        magnitude="how long the oldest transaction id that it needs has been held, a duration",
        why_these_defaults="pganalyze tells at 24 hours, when hours of dead rows are there already; four hours are"
        " longer than a report or a nightly dump takes that somebody planned. A day is an accident: critical. Both"
        " only after a million transaction ids, because on a server where nothing happens an old snapshot costs"
        " nothing. The time is that since pgvigil first saw a later id in use, never more than the age of the"
        " transaction, so a long transaction that takes fresh snapshots is not accused. A session that"
        " idle_in_transaction, long_transaction or long_running_query report already is evidence there, as is what"
        " prepared_transaction_old and slot_retention report. On a standby"
        " nothing is judged: what its sessions hold back shows on the primary.",
        evidence="Who it is, how long and how many transaction ids; everybody else who holds something back.",
        what_to_do="A session: let it commit, or end it. A prepared transaction: COMMIT or ROLLBACK PREPARED. A slot:"
        " bring its consumer back, or drop the slot if that never comes. A standby: end the query there.",
        how_to_look="""\
SELECT 'session' AS holder, pid::text AS name, greatest(age(backend_xid), age(backend_xmin)) AS xids
FROM pg_stat_activity WHERE backend_xid IS NOT NULL OR backend_xmin IS NOT NULL
UNION ALL SELECT 'prepared', gid, age(transaction) FROM pg_prepared_xacts
UNION ALL SELECT 'slot', slot_name, greatest(age(xmin), age(catalog_xmin)) FROM pg_replication_slots
UNION ALL SELECT 'standby', application_name, age(backend_xmin) FROM pg_stat_replication
ORDER BY 3 DESC NULLS LAST
LIMIT 20""",
    ),
)
