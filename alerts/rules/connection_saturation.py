"""The server runs out of connection slots."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

from pydantic import Field

from alerts.grading import counted, grade
from alerts.rules._tables import table_block
from collectors.activity import HIDDEN, ActivityReading, SessionGroup
from pgvigil.model.availability import Availability
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.failure import FailureKind
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.text import one_line
from pgvigil.units import DurationS, Percent, format_duration

_SUBJECT = "connections"
_SHOWN_GROUPS = 10


class ConnectionSaturationParams(PercentParams):
    for_s: DurationS = Field(60.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        120.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: Percent | None = Field(80.0, description="Share of the usable slots that is taken.")
    critical: Percent | None = Field(95.0, description="Share of the usable slots that is taken.")
    clear: Percent | None = Field(70.0, description="At or below this share it has recovered.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ConnectionSaturationParams, context: Context
) -> Judgement:
    if isinstance(reading.rows, Availability):
        return _refused(reading.rows, context)
    return _counted(reading.rows, params, context)


def _refused(availability: Availability, context: Context) -> Judgement:
    """A refusal for want of a slot is saturation, whatever was counted last.

    Anything else is no count: it changes nothing, except that nobody can count while the server is down.
    """
    failure = availability.failure
    if availability.up or failure is None:
        return Judgement((), NOTHING)
    if failure.kind.means_down:
        return Judgement((), replace(NOTHING, reason=f"the server cannot be asked: {failure.message}"))
    if failure.kind is not FailureKind.TOO_MANY_CONNECTIONS:
        return Judgement((), NOTHING)
    finding = _finding(
        context,
        Level.CRITICAL,
        "No connection slot is left: the server refuses pgvigil as well",
        100.0,
        Evidence(
            impact="New connections are refused; sessions that are already connected still work.",
            figures=(Figure("The server says", failure.message),),
            cause="More clients than slots: a pool that is too large, too many pools, or sessions that are stuck.",
        ),
    )
    return Judgement((finding,), Scope())


def _counted(activity: ActivityReading, params: ConnectionSaturationParams, context: Context) -> Judgement:
    percent = 100.0 * activity.connections / activity.usable
    level = grade(percent, params)
    if level is None:
        return Judgement((), Scope())
    summary = (
        f"{activity.connections:,} of {activity.usable:,} usable connection slots are taken ({percent:.0f} %)"
    )
    return Judgement((_finding(context, level, summary, percent, _evidence(activity)),), Scope())


def _finding(context: Context, level: Level, summary: str, percent: float, evidence: Evidence) -> Finding:
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_SUBJECT,
        level=level,
        summary=summary,
        value=percent,
        evidence=evidence,
        steps=_STEPS,
    )


def _evidence(activity: ActivityReading) -> Evidence:
    left = max(0, activity.usable - activity.connections)
    states = activity.by_state()
    return Evidence(
        impact=f"{counted(left, 'slot')} left for ordinary roles; when none is, clients get"
        ' "too many connections" and their requests fail.',
        figures=(
            Figure("Connections", f"{activity.connections:,}"),
            Figure("max_connections", f"{activity.max_connections:,}"),
            Figure("Reserved", f"{activity.reserved:,}"),
            *(Figure(state.capitalize(), f"{states[state]:,}") for state in sorted(states)),
        ),
        blocks=(
            table_block(
                "Who holds the connections",
                ("sessions", "application", "user", "database", "state", "longest in it"),
                [_row(group) for group in sorted(activity.groups, key=_by_size)],
                _SHOWN_GROUPS,
            ),
        ),
        cause=_cause(activity, states),
    )


def _by_size(group: SessionGroup) -> tuple[int, str, str, str, str]:
    return (-group.sessions, group.application, group.user_name, group.database, group.state)


def _row(group: SessionGroup) -> tuple[object, ...]:
    longest = "" if group.longest_state_s is None else format_duration(group.longest_state_s)
    application = group.application or "(not named)"
    return (group.sessions, application, group.user_name, group.database, group.state, longest)


def _cause(activity: ActivityReading, states: dict[str, int]) -> str:
    total = activity.connections
    if states.get(HIDDEN, 0) > total / 2:
        return "The role may not see other sessions' states: grant it pg_monitor to learn more."
    if states.get("idle", 0) > total / 2:
        return f"Most of them are idle ({_largest_holder(activity, 'idle')}): pools larger than their work."
    if states.get("active", 0) > total / 2:
        return "Most of them are active: the server is behind its work, or its sessions wait for each other."
    stuck = sum(count for state, count in states.items() if state.startswith("idle in transaction"))
    if stuck > total / 2:
        return "Most of them idle in transactions: clients that do not finish what they begin."
    return "No single state dominates: compare the applications below with their pools."


def _largest_holder(activity: ActivityReading, state: str) -> str:
    sizes: defaultdict[str, int] = defaultdict(int)
    for group in activity.groups:
        if group.state == state:
            sizes[group.application or "(not named)"] += group.sessions
    name = max(sorted(sizes), key=lambda application: sizes[application])
    return f"{one_line(name, 40)}: {sizes[name]:,}"


_STEPS = (
    Step(
        "See who holds the connections. A superuser, or pg_use_reserved_connections (16+), still gets in.",
        "SELECT application_name, usename, datname, state, count(*), max(now() - state_change) AS longest"
        " FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT 20",
    ),
    Step("If sessions wait for each other, resolve the chain first (blocking_chain): connections follow."),
    Step("Lower the pool size of the application with the most idle sessions, or restart a leaking one."),
    Step("For good: a pooler in transaction mode, or idle_session_timeout (14+) for the role that leaks."),
)


RULE = Rule(
    name="connection_saturation",
    watches=("activity", "availability"),
    params=ConnectionSaturationParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="Client connections take most of the slots that an ordinary role can get. When the last one is"
        " gone, new connections fail while the old ones still work. A server that refuses pgvigil for want of"
        " a slot is saturated (critical), not down.",
        magnitude="client connections as a percentage of the usable slots: max_connections without"
        " superuser_reserved_connections and, from PostgreSQL 16 on, reserved_connections",
        why_these_defaults="80 and 95 % leave time to act on servers of any size, and reserved slots do not"
        " count, because applications cannot have them. A minute passes over the burst of a deployment; clear"
        " at 70 % and two minutes to resolve keep one incident through a pool that breathes.",
        evidence="Connections by state, the reserved slots, and which application, user and database hold them"
        " in which state for how long.",
        what_to_do="See who holds them. Idle ones: a pool is too large or leaks. Active ones: the server is"
        " slow or blocked; look at the other incidents first. Raising max_connections needs a restart and"
        " memory, and seldom helps.",
        how_to_look="""\
SELECT application_name, usename, datname, state, count(*), max(now() - state_change) AS longest
FROM pg_stat_activity
WHERE backend_type = 'client backend'
GROUP BY 1, 2, 3, 4
ORDER BY 5 DESC
LIMIT 20""",
    ),
)
