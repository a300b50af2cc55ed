"""What is exported of a target, in sections that change together."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from daemon.board import CollectorView, TargetView
from pgvigil.model.incident import State


@dataclass(frozen=True, slots=True)
class Section:
    """`sample` is the part of a view that the section shows; it is rendered anew only when that changed."""

    name: str
    sample: Callable[[TargetView], Any]
    render: Callable[[TargetView], Sequence[Metric]]


def _gauge(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"pgvigil_{name}", text, labels=labels)


def _counter(name: str, text: str, labels: Sequence[str]) -> CounterMetricFamily:
    return CounterMetricFamily(f"pgvigil_{name}", text, labels=labels)


def setup_problems(counts: Mapping[tuple[str, str], int]) -> Metric:
    """How many there are, by target and slug."""
    family = _gauge(
        "setup_problems",
        "Set-up problems that people must mend, by slug; target is empty for pgvigil's own.",
        ["target", "slug"],
    )
    for key, count in sorted(counts.items()):
        family.add_metric(key, count)
    return family


def _health(view: TargetView) -> Sequence[Metric]:
    up = _gauge("target_up", "1 when the last real query was answered; 0 in every other case.", ["target"])
    up.add_metric([view.name], float(view.up))
    families: list[Metric] = [up]
    if view.facts is not None:
        info = InfoMetricFamily("pgvigil_target", "What is known of the target.", labels=["target"])
        info.add_metric([view.name], {"version": view.facts.version, "role": view.role or ""})
        families.append(info)
    problems = setup_problems(Counter((view.name, problem.slug) for problem in view.problems))
    unread = _gauge(
        "databases_not_covered", "Databases that match the target's patterns and cannot be read.", ["target"]
    )
    unread.add_metric([view.name], len(view.not_covered))
    stretch = _gauge(
        "target_stretch_factor",
        "By how much the intervals are longer than configured because the target is busy; 1 is not at all.",
        ["target"],
    )
    stretch.add_metric([view.name], view.stretch.factor)
    return [*families, problems, unread, stretch]


_QUICK_S = 60.0  # most readings are rarer: what tells of them is rendered as rarely as they come
_READING = ("target", "collector", "database")


def _quick(view: TargetView) -> Sequence[CollectorView]:
    return tuple(item for item in view.collectors if item.interval_s <= _QUICK_S)


def _rare(view: TargetView) -> Sequence[CollectorView]:
    return tuple(item for item in view.collectors if item.interval_s > _QUICK_S)


def _readings(target: str, items: Sequence[CollectorView]) -> Sequence[Metric]:
    success = _gauge(
        "collector_last_success_timestamp_seconds", "When the collector last succeeded.", _READING
    )
    duration = _gauge(
        "collector_duration_seconds", "How long the last success took, waiting included.", _READING
    )
    for item in items:
        if item.last_success_at is not None and item.last_duration_s is not None:
            key = (target, item.collector, item.database or "")
            success.add_metric(key, item.last_success_at.timestamp())
            duration.add_metric(key, item.last_duration_s)
    return [success, duration]


def _counted(view: TargetView) -> Any:
    """What does not change when all is well."""
    return tuple(
        (item.collector, item.database, item.interval_s, item.missed_ticks, item.errors)
        for item in view.collectors
    )


def _counts(view: TargetView) -> Sequence[Metric]:
    errors = _counter("collector_errors", "Failed readings, by class.", [*_READING, "reason"])
    missed = _counter(
        "collector_skipped_ticks", "Ticks that came while the reading before was still due.", _READING
    )
    interval = _gauge(
        "collector_interval_seconds",
        "The interval in force; the longest where databases differ.",
        ["target", "collector"],
    )
    intervals: dict[str, float] = {}
    for item in view.collectors:
        intervals[item.collector] = max(item.interval_s, intervals.get(item.collector, 0.0))
        key = [view.name, item.collector, item.database or ""]
        for reason, count in item.errors.items():
            errors.add_metric([*key, reason], count)
        missed.add_metric(key, item.missed_ticks)
    for collector, interval_s in intervals.items():
        interval.add_metric([view.name, collector], interval_s)
    return [errors, missed, interval]


def _incidents(view: TargetView) -> Sequence[Metric]:
    family = _gauge(
        "incidents_open",
        "Open incidents that have fired, by rule, severity and state; suppressed ones have state suppressed.",
        ["target", "rule", "severity", "state"],
    )
    counts = Counter(
        (item.rule, item.severity.word, "suppressed" if item.suppressed_by else item.state.value)
        for item in view.incidents
        if item.open and item.state is not State.PENDING
    )
    for (rule, severity, state), count in sorted(counts.items()):
        family.add_metric([view.name, rule, severity, state], count)
    return [family]


def _sessions(view: TargetView) -> Sequence[Metric]:
    sessions = _gauge("sessions", "Client sessions by state.", ["target", "database", "state"])
    for item in view.sessions:
        sessions.add_metric([view.name, item.database, item.state], item.sessions)
    waiters = _gauge("blocked_sessions", "Sessions that wait for a heavyweight lock.", ["target"])
    longest = _gauge("longest_block_seconds", "The longest present wait for a lock.", ["target"])
    oldest = _gauge(
        "oldest_transaction_timestamp_seconds",
        "When the oldest open transaction of a client began.",
        ["target"],
    )
    since = None if view.oldest_transaction_at is None else view.oldest_transaction_at.timestamp()
    for family, value in ((waiters, view.waiters), (longest, view.longest_wait_s), (oldest, since)):
        if value is not None:
            family.add_metric([view.name], value)
    return [sessions, waiters, longest, oldest]


def _statements(view: TargetView) -> Sequence[Metric]:
    labels = ["target", "database", "queryid"]
    calls = _counter("query_calls", "Calls; queryid other is everything outside the sticky top.", labels)
    seconds = _counter("query_exec_seconds", "Execution time.", labels)
    rows = _counter("query_rows", "Rows returned or changed.", labels)
    blocks = _counter("query_shared_blocks", "Shared blocks hit or read.", labels)
    for series in view.statements:
        key = [view.name, series.database, "other" if series.queryid is None else str(series.queryid)]
        calls.add_metric(key, series.calls)
        seconds.add_metric(key, series.exec_s)
        rows.add_metric(key, series.rows)
        blocks.add_metric(key, series.shared_blocks)
    return [calls, seconds, rows, blocks]


SECTIONS = (
    Section("health", lambda v: (v.up, v.facts, v.problems, v.not_covered, v.stretch), _health),
    Section("quick readings", _quick, lambda v: _readings(v.name, _quick(v))),
    Section("rare readings", _rare, lambda v: _readings(v.name, _rare(v))),
    Section("counts", _counted, _counts),
    Section("incidents", lambda v: v.incidents, _incidents),
    Section(
        "sessions", lambda v: (v.sessions, v.waiters, v.longest_wait_s, v.oldest_transaction_at), _sessions
    ),
    Section("statements", lambda v: v.statements, _statements),
)
