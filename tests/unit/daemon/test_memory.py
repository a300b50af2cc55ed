"""What is remembered of readings: values over time, and what changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from collectors.settings import COLLECTOR
from daemon.memory import Memory
from pgvigil.model.series import Sample
from pgvigil.model.snapshot import Snapshot
from tests.support.readings import NOW, snapshot

SIZES = replace(COLLECTOR, name="sizes", journal=None, series={"size": lambda rows: rows})
WORDS = replace(COLLECTOR, name="words", journal=lambda rows: rows)


def later(rows: Any, collector: str, seconds: float) -> Snapshot[Any]:
    return replace(snapshot(rows, collector), taken_at=NOW + timedelta(seconds=seconds))


def test_a_series_is_kept_by_key() -> None:
    memory = Memory()
    memory.take(later([Sample("a", 1), Sample("b", 9)], "sizes", 0), SIZES)
    memory.take(later([Sample("a", 2)], "sizes", 60), SIZES)
    assert [point.value for point in memory.points("sizes", None, "size", "a")] == [1, 2]
    assert [point.value for point in memory.points("sizes", None, "size", "b")] == [9]
    assert memory.points("sizes", "other", "size", "a") == ()


def test_nothing_is_compared_across_epochs() -> None:
    memory = Memory()
    for second, (value, epoch) in enumerate([(5, "x"), (6, "x"), (1, "y"), (2, "y")]):
        memory.take(later([Sample("a", value, epoch)], "sizes", second), SIZES)
    assert [point.value for point in memory.points("sizes", None, "size", "a")] == [1, 2]


def test_a_journal_tells_what_is_new_changed_and_gone() -> None:
    memory = Memory()
    memory.take(later({"work_mem": "4MB", "port": "5432"}, "words", 0), WORDS)
    memory.take(later({"work_mem": "8MB", "jit": "on"}, "words", 60), WORDS)
    told = [(each.key, each.old, each.new) for each in memory.changes("words", None)]
    assert told == [("jit", None, "on"), ("port", "5432", None), ("work_mem", "4MB", "8MB")]
    assert {(each.after, each.at) for each in memory.changes("words", None)} == {
        (NOW, NOW + timedelta(seconds=60))
    }
