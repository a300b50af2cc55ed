"""The text of /metrics: true, well-formed, rendered only when something changed."""

from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from alerts.outbox.record import Latency
from daemon.board import Board
from daemon.metrics.exposition import Exposition
from daemon.metrics.own import OwnMetrics, OwnStats
from daemon.metrics.sinks import SinkStats
from tests.support.views import T0, down_view, view


def nothing() -> Sequence[Metric]:
    return ()


def samples(exposition: Exposition) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    parsed = text_string_to_metric_families(exposition.text().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in parsed for s in family.samples}


def named(found: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str) -> list[float]:
    return [value for (family, _), value in found.items() if family == name]


def test_a_healthy_target_is_told_in_full() -> None:
    board = Board()
    board.publish(view())
    found = samples(Exposition(board, nothing))
    assert named(found, "pgvigil_target_up") == [1.0]
    assert (
        found[
            "pgvigil_query_calls_total", (("database", "shop"), ("queryid", "-42"), ("target", "orders-prod"))
        ]
        == 10
    )
    assert (
        found[
            "pgvigil_query_calls_total", (("database", ""), ("queryid", "other"), ("target", "orders-prod"))
        ]
        == 1
    )
    assert named(found, "pgvigil_collector_last_success_timestamp_seconds") == [T0.timestamp()]
    assert named(found, "pgvigil_collector_errors_total") == [2]
    assert named(found, "pgvigil_collector_skipped_ticks_total") == [1]
    assert named(found, "pgvigil_incidents_open") == [1]
    assert named(found, "pgvigil_blocked_sessions") == [23]


def test_a_target_that_is_down_exports_up_0_and_no_gauges() -> None:
    """A gauge of a server that cannot be read would be a lie."""
    board = Board()
    board.publish(down_view())
    found = samples(Exposition(board, nothing))
    assert named(found, "pgvigil_target_up") == [0.0]
    assert not named(found, "pgvigil_blocked_sessions")
    assert not named(found, "pgvigil_sessions")


def test_families_of_many_targets_stand_together() -> None:
    """The format allows one header a family; the parser would return a family twice otherwise."""
    board = Board()
    for name in ("a", "b", "c"):
        board.publish(view(name=name))
    text = Exposition(board, nothing).text().decode()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert text.count('pgvigil_target_up{target="') == 3


def test_a_target_that_left_is_gone() -> None:
    board = Board()
    board.publish(view())
    exposition = Exposition(board, nothing)
    assert exposition.text()
    board.withdraw("orders-prod")
    assert exposition.text() == b""


def test_hostile_label_values_stay_in_their_label() -> None:
    board = Board()
    hostile = 'sh"op\n# HELP evil\nevil 1\\'
    board.publish(view(name="t", sessions=(), statements=(), databases=(hostile,)))
    board.publish(view(name=hostile))
    found = samples(Exposition(board, nothing))
    assert ("pgvigil_target_up", (("target", hostile),)) in found
    assert not named(found, "evil")


def test_own_figures_are_told() -> None:
    stats = OwnStats(
        sinks={
            "oncall": SinkStats(
                attempts={"ok": 3, "transient": 1},
                pending=2,
                oldest_pending_at=T0,
                fallbacks={"full": 1},
                latency=Latency().with_one(0.2).with_one(7000.0),
                dropped={"over": 3},
                digesting=True,
            )
        },
        rule_errors={"slow_query": 1},
        store_errors=4,
        threads={"polls": 2},
        series=7,
        samples_dropped=2,
    )
    found = samples(Exposition(Board(), OwnMetrics(lambda: stats, T0)))
    assert found["pgvigil_notify_attempts_total", (("outcome", "ok"), ("sink", "oncall"))] == 3
    assert named(found, "pgvigil_outbox_oldest_pending_timestamp_seconds") == [T0.timestamp()]
    assert named(found, "pgvigil_store_errors_total") == [4]
    assert found["pgvigil_outbox_dropped_total", (("reason", "over"), ("sink", "oncall"))] == 3
    assert named(found, "pgvigil_outbox_digest") == [1]
    within = "pgvigil_notify_latency_seconds_bucket"
    assert [found[within, (("le", le), ("sink", "oncall"))] for le in ("0.1", "0.25", "3600.0", "+Inf")] == [
        0,
        1,
        1,
        2,
    ]
    assert named(found, "pgvigil_notify_latency_seconds_count") == [2]
    assert named(found, "pgvigil_notify_latency_seconds_sum") == [7000.2]
    assert named(found, "pgvigil_remembered_series") == [7]
    assert named(found, "pgvigil_dropped_samples_total") == [2]
    assert found["pgvigil_notify_fallbacks_total", (("refused", "full"), ("sink", "oncall"))] == 1
    assert named(found, "pgvigil_process_resident_memory_bytes")[0] > 1_000_000
    assert named(found, "pgvigil_process_cpu_seconds_total")[0] > 0


def test_own_figures_need_no_more_of_proc_than_a_hardened_service_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ProcSubset=pid, as in deploy/systemd: the directories of processes and nothing else."""
    own = psutil.Process().pid
    (tmp_path / str(own)).symlink_to(f"/proc/{own}")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    found = samples(Exposition(Board(), OwnMetrics(OwnStats, T0)))
    assert found["pgvigil_process_resident_memory_bytes", ()] > 0
    assert found["pgvigil_process_start_timestamp_seconds", ()] == T0.timestamp()
