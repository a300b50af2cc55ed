"""What collectors declare is exported: true, well-formed, gone when it is not known."""

from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from collectors.settings import COLLECTOR
from daemon.board import Board, TargetView
from daemon.clock import system_now
from daemon.metrics.exposition import Exposition
from daemon.metrics.vitals import MOST_SAMPLES, Sums, exported
from daemon.recorder import Recorder
from pgvigil.model.availability import Availability
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.plugins import Collector, Family, LaneKind
from tests.support.readings import snapshot


class Slot(NamedTuple):
    name: str
    retained_bytes: int | None
    sent: int = 0


def families(*rows: Slot) -> Collector[Any]:
    return replace(
        COLLECTOR,
        name="slots",
        families=(
            Family(
                name="slot_retained_bytes",
                help="WAL kept for a slot.",
                rows=lambda reading: reading,
                value=attrgetter("retained_bytes"),
                labels={"slot": attrgetter("name")},
            ),
            Family(
                name="slot_sent_bytes",
                help="Sent.",
                rows=lambda reading: reading,
                value=attrgetter("sent"),
                labels={"slot": attrgetter("name")},
                counter=True,
            ),
        ),
    )


class Watched:
    """A target whose one collector is read by hand."""

    def __init__(self, name: str, board: Board) -> None:
        self.recorder = Recorder(TargetView(name=name, labels={}), board)
        self.recorder.expect("slots", None, 60, system_now())
        self.name = name

    def read(self, *rows: Slot) -> None:
        taken = replace(snapshot(rows, "slots"), target=self.name)
        self.recorder.exported("slots", None, exported(taken, families(), {}))
        self.recorder.availability(Availability(up=True), system_now())


def told(board: Board) -> dict[str, dict[tuple[str, str], float]]:
    text = Exposition(board, tuple).text().decode()
    return {
        family.name: {(s.labels["target"], s.labels["slot"]): s.value for s in family.samples}
        for family in text_string_to_metric_families(text)
        if family.name.startswith("pgvigil_slot")
    }


def test_samples_of_several_targets_are_one_family() -> None:
    board = Board()
    for name in ("a", "b"):
        Watched(name, board).read(Slot("x", 5, 7), Slot('o"dd\n\\', 6))
    assert told(board) == {
        "pgvigil_slot_retained_bytes": {
            ("a", "x"): 5,
            ("a", 'o"dd\n\\'): 6,
            ("b", "x"): 5,
            ("b", 'o"dd\n\\'): 6,
        },
        "pgvigil_slot_sent_bytes": {
            ("a", "x"): 7,
            ("a", 'o"dd\n\\'): 0,
            ("b", "x"): 7,
            ("b", 'o"dd\n\\'): 0,
        },
    }


def test_what_has_no_value_has_no_sample() -> None:
    board = Board()
    Watched("a", board).read(Slot("x", None), Slot("y", 0))
    assert told(board)["pgvigil_slot_retained_bytes"] == {("a", "y"): 0}


def test_rows_with_the_same_labels_are_one_sample() -> None:
    board = Board()
    Watched("a", board).read(Slot("x", 2), Slot("x", 3))
    assert told(board)["pgvigil_slot_retained_bytes"] == {("a", "x"): 5}


def test_of_too_many_the_largest_are_shown() -> None:
    board = Board()
    Watched("a", board).read(*(Slot(f"s{i}", i) for i in range(MOST_SAMPLES + 10)))
    shown = told(board)["pgvigil_slot_retained_bytes"]
    assert len(shown) == MOST_SAMPLES
    assert ("a", "s9") not in shown


def test_after_a_failure_gauges_are_gone_and_counters_stay() -> None:
    board = Board()
    watched = Watched("a", board)
    watched.read(Slot("x", 5, 7))
    watched.recorder.failed("slots", None, Failure(FailureKind.TIMEOUT, "too slow"))
    watched.recorder.publish()
    assert told(board) == {"pgvigil_slot_sent_bytes": {("a", "x"): 7}}


def test_a_target_that_is_down_has_no_gauges() -> None:
    board = Board()
    watched = Watched("a", board)
    watched.read(Slot("x", 5, 7))
    watched.recorder.availability(Availability(up=False), system_now())
    assert told(board) == {"pgvigil_slot_sent_bytes": {("a", "x"): 7}}


def test_a_collector_that_is_switched_off_exports_nothing() -> None:
    board = Board()
    watched = Watched("a", board)
    watched.read(Slot("x", 5, 7))
    watched.recorder.forget("slots", None)
    watched.recorder.publish()
    assert told(board) == {}


def test_a_reading_of_a_database_says_which() -> None:
    of_databases = replace(families(), lane=LaneKind.DATABASES)
    taken = replace(snapshot((Slot("x", 5),), "slots"), database="shop")
    assert 'database="shop"' in exported(taken, of_databases, {})[0].samples


def test_what_is_summed_is_added_up_over_readings_and_outlives_a_reading_without_it() -> None:
    """A sample of a session is an event: what the next reading does not see happened all the same."""
    sampled = replace(
        COLLECTOR,
        families=(
            Family(
                name="wait_samples",
                help="Samples.",
                rows=lambda reading: reading,
                value=lambda _: 1,
                labels={"slot": attrgetter("name")},
                summed=True,
            ),
        ),
    )
    sums: Sums = {}
    readings = (Slot("a", 1), Slot("a", 1), Slot("b", 1)), (Slot("b", 1),), ()
    texts = [exported(snapshot(rows, "slots"), sampled, sums) for rows in readings]
    (last,) = texts[-1]
    assert last.counter
    assert last.samples.splitlines() == [
        'pgvigil_wait_samples_total{slot="a",target="orders-prod"} 2.0',
        'pgvigil_wait_samples_total{slot="b",target="orders-prod"} 2.0',
    ]


def test_what_is_summed_has_an_end() -> None:
    sums: Sums = {("f", None): {(str(number),): 1.0 for number in range(MOST_SAMPLES)}}
    family: Family[Any] = Family(
        name="f",
        help="F.",
        rows=lambda reading: reading,
        value=lambda _: 1,
        labels={"slot": attrgetter("name")},
        summed=True,
    )
    exported(snapshot((Slot("0", 1), Slot("new", 1)), "slots"), replace(COLLECTOR, families=(family,)), sums)
    assert len(sums["f", None]) == MOST_SAMPLES
    assert sums["f", None][("0",)] == 2.0
