"""What pgvigil exports of its notifications: what was told, how soon, and what waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from alerts.outbox.record import LATENCY_BOUNDS_S, Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStats:
    """`attempts` counts calls by outcome (ok, rate_limited, transient, ambiguous, rejected, ...)."""

    attempts: Mapping[str, int] = field(default_factory=dict)
    pending: int | None = 0  # None: not known
    parked: int | None = 0
    oldest_pending_at: datetime | None = None
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)
    dropped: Mapping[str, int] = field(default_factory=dict)  # by reason
    digesting: bool = False
    failing: bool = False


def about_sinks(sinks: Mapping[str, SinkStats]) -> Sequence[Metric]:
    """By the sink's name."""
    ordered = sorted(sinks.items())
    return [_attempts(ordered), *_queue(ordered), _simpler(ordered), _dropped(ordered), _latency(ordered)]


_Sinks = Sequence[tuple[str, SinkStats]]


def _attempts(sinks: _Sinks) -> Metric:
    family = CounterMetricFamily(
        "pgvigil_notify_attempts", "Calls to a sink, by outcome.", labels=["sink", "outcome"]
    )
    for name, sink in sinks:
        for outcome, count in sorted(sink.attempts.items()):
            family.add_metric([name, outcome], count)
    return family


def _queue(sinks: _Sinks) -> Sequence[Metric]:
    pending = GaugeMetricFamily(
        "pgvigil_outbox_pending", "Incidents that the sink does not reflect yet.", labels=["sink"]
    )
    parked = GaugeMetricFamily(
        "pgvigil_outbox_parked", "Deliveries that wait for people to mend the sink.", labels=["sink"]
    )
    oldest = GaugeMetricFamily(
        "pgvigil_outbox_oldest_pending_timestamp_seconds",
        "Since when the oldest one has waited.",
        labels=["sink"],
    )
    digest = GaugeMetricFamily(
        "pgvigil_outbox_digest",
        "1 while a digest is to be told before anything is told one by one.",
        labels=["sink"],
    )
    failing = GaugeMetricFamily(
        "pgvigil_sink_failing",
        "1 while the last call to the sink failed in a way that lets it take nothing.",
        labels=["sink"],
    )
    for name, sink in sinks:
        failing.add_metric([name], float(sink.failing))
        digest.add_metric([name], float(sink.digesting))
        since = None if sink.oldest_pending_at is None else sink.oldest_pending_at.timestamp()
        for family, value in ((pending, sink.pending), (parked, sink.parked), (oldest, since)):
            if value is not None:
                family.add_metric([name], value)
    return [pending, parked, oldest, digest, failing]


def _simpler(sinks: _Sinks) -> Metric:
    family = CounterMetricFamily(
        "pgvigil_notify_fallbacks", "Messages refused and sent in a simpler form.", labels=["sink", "refused"]
    )
    for name, sink in sinks:
        for form, count in sorted(sink.fallbacks.items()):
            family.add_metric([name, form], count)
    return family


def _dropped(sinks: _Sinks) -> Metric:
    family = CounterMetricFamily(
        "pgvigil_outbox_dropped",
        "Incidents that the sink will never be told of, by reason: over before it could be told.",
        labels=["sink", "reason"],
    )
    for name, sink in sinks:
        for reason, count in sorted(sink.dropped.items()):
            family.add_metric([name, reason], count)
    return family


def _latency(sinks: _Sinks) -> Metric:
    family = HistogramMetricFamily(
        "pgvigil_notify_latency_seconds",
        "From the reading that changed an incident to the sink's yes, of what people hear.",
        labels=["sink"],
    )
    bounds = [*(str(bound) for bound in LATENCY_BOUNDS_S), "+Inf"]
    for name, sink in sinks:
        family.add_metric(
            [name],
            list(zip(bounds, map(float, accumulate(sink.latency.counts)), strict=True)),
            sink.latency.sum_s,
        )
    return family
