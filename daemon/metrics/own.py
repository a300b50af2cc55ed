"""What pgvigil exports of itself."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from daemon.metrics.families import setup_problems
from daemon.metrics.sinks import SinkStats, about_sinks
from pgvigil import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStats:
    """The daemon's account of itself at one moment."""

    sinks: Mapping[str, SinkStats] = field(default_factory=dict)
    rule_errors: Mapping[str, int] = field(default_factory=dict)
    rule_feedback: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by rule and verdict
    config_ok: bool = True
    config_loaded_at: datetime | None = None
    problems: Mapping[tuple[str, str], int] = field(
        default_factory=dict
    )  # by target ("" is pgvigil) and slug
    store_errors: int = 0
    store_writable: bool = True
    store_in_memory_at: datetime | None = None  # None: on its disk
    store_size_bytes: int | None = None  # None: not known
    store_copied_at: datetime | None = None
    series: int = 0  # that targets remember
    samples_dropped: int = 0
    clock_steps: int = 0
    heartbeat_at: datetime | None = None  # the last sign of life that was taken
    heartbeat_failures: int = 0
    threads: Mapping[str, int] = field(default_factory=dict)
    stuck_loops: int = 0


class OwnMetrics:
    """Callable: the families, from fresh process figures and the stats that `stats` returns."""

    def __init__(self, stats: Callable[[], OwnStats], started_at: datetime) -> None:
        self._stats = stats
        self._started_at = started_at
        self._process = psutil.Process()

    def __call__(self) -> Sequence[Metric]:
        stats = self._stats()
        return [
            *self._about_process(),
            *_about_daemon(stats),
            *_about_heartbeat(stats),
            setup_problems(stats.problems),
            *about_sinks(stats.sinks),
        ]

    def _about_process(self) -> Sequence[Metric]:
        build = InfoMetricFamily("pgvigil_build", "The running version.")
        build.add_metric([], {"version": __version__, "python": platform.python_version()})
        with self._process.oneshot():
            times = self._process.cpu_times()
            resident = self._process.memory_info().rss
        return [
            build,
            _counter("process_cpu_seconds", "CPU time of the daemon.", times.user + times.system),
            _gauge("process_resident_memory_bytes", "Resident memory of the daemon.", resident),
            # Not the process's own: that needs /proc/stat, which a hardened service does not see.
            _gauge(
                "process_start_timestamp_seconds", "When the daemon started.", self._started_at.timestamp()
            ),
        ]


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """Without a sample while the value is not known."""
    family = GaugeMetricFamily(f"pgvigil_{name}", text, labels=[])
    if value is not None:
        family.add_metric([], value)
    return family


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"pgvigil_{name}", text, value=value)


def _about_daemon(stats: OwnStats) -> Sequence[Metric]:
    threads = GaugeMetricFamily("pgvigil_pool_threads", "Worker threads, by pool.", labels=["pool"])
    for pool, count in sorted(stats.threads.items()):
        threads.add_metric([pool], count)
    failed = CounterMetricFamily("pgvigil_rule_errors", "Times that a rule threw.", labels=["rule"])
    for rule, count in sorted(stats.rule_errors.items()):
        failed.add_metric([rule], count)
    feedback = CounterMetricFamily(
        "pgvigil_rule_feedback",
        "Times that people found an incident of the rule useful, or noise.",
        labels=["rule", "verdict"],
    )
    for (rule, verdict), count in sorted(stats.rule_feedback.items()):
        feedback.add_metric([rule, verdict], count)
    loaded = GaugeMetricFamily(
        "pgvigil_config_last_reload_success_timestamp_seconds",
        "When the configuration in force was read.",
        value=None if stats.config_loaded_at is None else stats.config_loaded_at.timestamp(),
    )
    return [
        threads,
        failed,
        feedback,
        _gauge(
            "config_last_reload_successful",
            "0 when the configuration was changed and refused, so that the one before is in force.",
            float(stats.config_ok),
        ),
        loaded,
        _counter("store_errors", "Failed writes to the store.", stats.store_errors),
        _gauge(
            "store_writable", "1 when the last write to the store succeeded.", float(stats.store_writable)
        ),
        _gauge(
            "store_in_memory",
            "1 while the store is kept in memory because its disk takes no writes.",
            float(stats.store_in_memory_at is not None),
        ),
        _gauge(
            "store_in_memory_since_timestamp_seconds",
            "Since when the store's file lacks what is done.",
            None if stats.store_in_memory_at is None else stats.store_in_memory_at.timestamp(),
        ),
        _gauge(
            "store_size_bytes", "What the store takes of its disk, without copies.", stats.store_size_bytes
        ),
        _gauge(
            "store_copy_timestamp_seconds",
            "When the copy was made that a damaged store would be replaced by.",
            None if stats.store_copied_at is None else stats.store_copied_at.timestamp(),
        ),
        _gauge("remembered_series", "Series of readings that are remembered over time.", stats.series),
        _counter(
            "dropped_samples",
            "Values that were not remembered because their target has too many series.",
            stats.samples_dropped,
        ),
        _counter("clock_steps", "Steps of the wall clock that were noticed.", stats.clock_steps),
        _gauge("stuck_loops", "Loops of the daemon that have not advanced in time.", stats.stuck_loops),
    ]


def _about_heartbeat(stats: OwnStats) -> Sequence[Metric]:
    return [
        _gauge(
            "heartbeat_timestamp_seconds",
            "When the dead man's switch last took a sign of life.",
            None if stats.heartbeat_at is None else stats.heartbeat_at.timestamp(),
        ),
        _counter(
            "heartbeat_failures",
            "Signs of life that nobody took; withheld ones do not count.",
            stats.heartbeat_failures,
        ),
    ]
