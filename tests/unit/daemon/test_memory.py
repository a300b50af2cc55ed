"""What is remembered of readings: values over time, and what changed."""

from dataclasses import replace
from datetime import timedelta
from math import inf, nan
from typing import Any

import structlog

from collectors.settings import COLLECTOR
from daemon.memory import MOST_SERIES, Memory
from pgvigil.model.change import IDENTITY
from pgvigil.model.history import History
from pgvigil.model.series import Sample
from pgvigil.model.snapshot import Snapshot
from tests.support.readings import NOW, snapshot

SIZES = replace(COLLECTOR, name="sizes", journal=None, series={"size": lambda rows: rows})
DAY_S = 86_400.0
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


# --- what is forgotten ----------------------------------------------------------------------------------------


def of_database(rows: Any, collector: str, database: str, seconds: float = 0) -> Snapshot[Any]:
    return replace(later(rows, collector, seconds), database=database)


def test_a_collector_that_was_switched_off_begins_anew_and_what_changed_stays() -> None:
    memory = Memory()
    memory.take(of_database([Sample("a", 1)], "sizes", "shop"), SIZES)
    memory.take(later({"port": "1"}, "words", 0), WORDS)
    memory.take(later({"port": "2"}, "words", 60), WORDS)
    memory.forget("sizes")
    memory.forget("words")
    assert memory.points("sizes", "shop", "size", "a") == ()
    memory.take(later({"port": "3"}, "words", 120), WORDS)
    assert [each.new for each in memory.changes("words", None)] == ["2"]


def test_a_database_that_is_gone_is_forgotten_wholly() -> None:
    memory = Memory()
    for second, port in enumerate("12"):
        for database in ("shop", "crm"):
            memory.take(of_database([Sample("a", 1)], "sizes", database, second), SIZES)
            memory.take(of_database({"port": port}, "words", database, second), WORDS)
    memory.retain({"crm"})
    assert memory.points("sizes", "shop", "size", "a") == ()
    assert memory.changes("words", "shop") == ()
    assert len(memory.points("sizes", "crm", "size", "a")) == 2
    assert len(memory.changes("words", "crm")) == 1
    memory.take(of_database({"port": "9"}, "words", "shop", 60), WORDS)
    assert memory.changes("words", "shop") == ()
    unsaved = memory.take_unsaved(whole=True)
    assert unsaved is not None
    assert unsaved.gone_databases == {"shop"}
    assert {each.place.database for each in unsaved.changes} == {"crm"}


def test_databases_that_come_and_go_leave_nothing_behind() -> None:
    memory = Memory()
    memory.take(of_database([Sample("a", 1)], "sizes", "shop"), SIZES)

    def held() -> dict[str, int]:
        return {name: len(value) for name, value in vars(memory).items() if isinstance(value, dict)}

    before = held()
    for number in range(9):
        name = f"ci_{number}"
        for second, port in enumerate("12"):
            memory.take(of_database([Sample("a", 1)], "sizes", name, second), SIZES)
            memory.take(of_database({"port": port}, "words", name, second), WORDS)
        memory.retain({"shop"})
    assert held() == before


def test_of_another_cluster_nothing_is_compared() -> None:
    memory = Memory()
    memory.take(later([Sample("a", 1)], "sizes", 0), SIZES, 7)
    memory.take(later({"port": "1"}, "words", 0), WORDS, 7)
    memory.take(later({"port": "2"}, "words", 10), WORDS, None)  # a role may not see the identifier
    memory.take(later({"port": "3"}, "words", 60), WORDS, 8)
    assert memory.points("sizes", None, "size", "a") == ()
    assert memory.changes("words", None) == ()
    unsaved = memory.take_unsaved(whole=True)
    assert unsaved is not None
    assert (unsaved.anew, unsaved.cluster, unsaved.changes) == (True, 8, ())


def test_that_it_is_another_cluster_is_a_change_where_a_journal_says_which_it_is() -> None:
    memory = Memory()
    memory.take(later({IDENTITY: "7", "timeline": "1"}, "words", 0), WORDS, 7)
    memory.take(later([Sample("a", 1)], "sizes", 50), SIZES, 8)  # who notices it is another
    memory.take(later({IDENTITY: "8", "timeline": "4"}, "words", 60), WORDS, 8)
    assert [(each.key, each.old, each.new) for each in memory.changes("words", None)] == [
        (IDENTITY, "7", "8")
    ]


def test_a_series_that_is_not_seen_for_a_week_while_others_are_is_forgotten() -> None:
    memory = Memory()
    memory.take(later([Sample("gone", 1), Sample("there", 1)], "sizes", 0), SIZES)
    memory.take(replace(later([Sample("slow", 1)], "slow", 0)), replace(SIZES, name="slow"))
    memory.take_unsaved(whole=True)
    memory.take(later([Sample("there", 2)], "sizes", 8 * DAY_S), SIZES)
    unsaved = memory.take_unsaved(whole=True)
    assert unsaved is not None
    assert [each.key for each in unsaved.gone_series] == ["gone"]
    assert memory.points("sizes", None, "size", "gone") == ()
    assert len(memory.points("sizes", None, "size", "there")) == 2
    assert len(memory.points("slow", None, "size", "slow")) == 1  # after a pause it is yet to be read


def test_what_are_too_many_series_is_said_once_and_counted() -> None:
    memory = Memory()
    with structlog.testing.capture_logs() as events:
        for second in range(2):
            many = [Sample(str(number), 1) for number in range(MOST_SERIES + 10)]
            memory.take(later(many, "sizes", second), SIZES)
    assert memory.dropped == 20
    assert [event["event"] for event in events] == ["series_dropped"]
    assert len(memory.points("sizes", None, "size", str(MOST_SERIES - 1))) == 2
    memory.forget("sizes")
    memory.take(later([Sample("new", 1)], "sizes", 9), SIZES)
    assert len(memory.points("sizes", None, "size", "new")) == 1


def test_many_databases_leave_room_for_the_server() -> None:
    memory = Memory()
    for database in ("shop", "crm"):
        memory.take(of_database([Sample(str(n), 1) for n in range(1000)], "sizes", database), SIZES)
    memory.take(later([Sample("slot", 1)], "sizes", 0), SIZES)
    assert memory.dropped == 500
    assert memory.series == 1501
    assert len(memory.points("sizes", None, "size", "slot")) == 1


def test_no_number_is_no_value() -> None:
    memory = Memory()
    memory.take(later([Sample("a", nan), Sample("b", inf)], "sizes", 0), SIZES)
    assert memory.points("sizes", None, "size", "a") == memory.points("sizes", None, "size", "b") == ()


def test_a_clock_that_was_set_back_gives_no_change_that_ends_before_it_began() -> None:
    memory = Memory()
    memory.take(later({"port": "1"}, "words", 3600), WORDS)
    memory.take(later({"port": "2"}, "words", 0), WORDS)
    (change,) = memory.changes("words", None)
    assert change.after == change.at == NOW


# --- over restarts --------------------------------------------------------------------------------------------


def kept_by(memory: Memory) -> History:
    """What the store would have of it."""
    unsaved = memory.take_unsaved(whole=True)
    assert unsaved is not None
    return History(
        cluster=unsaved.cluster,
        series=unsaved.series,
        journals=unsaved.journals,
        changes=unsaved.changes,
    )


def before_a_restart() -> History:
    memory = Memory()
    for second, port in enumerate("12"):
        memory.take(later([Sample("a", second, "x"), Sample("b", 9, "x")], "sizes", second), SIZES, 7)
        memory.take(later({"port": port}, "words", second), WORDS, 7)
    return kept_by(memory)


def test_what_was_kept_goes_on_after_a_restart() -> None:
    memory = Memory()
    memory.restore(before_a_restart())
    memory.take(later([Sample("a", 2, "x"), Sample("b", 0, "y")], "sizes", 60), SIZES, 7)
    memory.take(later({"port": "3"}, "words", 60), WORDS, 7)
    assert [point.value for point in memory.points("sizes", None, "size", "a")] == [0, 1, 2]
    assert [point.value for point in memory.points("sizes", None, "size", "b")] == [
        0
    ]  # it was reset meanwhile
    assert [(each.old, each.new, each.after) for each in memory.changes("words", None)] == [
        ("1", "2", NOW),
        ("2", "3", NOW + timedelta(seconds=1)),
    ]
    again = memory.take_unsaved(whole=True)
    assert again is not None
    assert [each.change.new for each in again.changes] == ["3"]


def test_what_comes_late_from_the_store_goes_before_what_was_read_since() -> None:
    """The store may fail at the start."""
    memory = Memory()
    memory.take(later([Sample("a", 5, "x"), Sample("b", 5, "y")], "sizes", 60), SIZES, 7)
    for second, port in enumerate("34", 60):
        memory.take(later({"port": port}, "words", second), WORDS, 7)
    memory.restore(before_a_restart())
    assert [point.value for point in memory.points("sizes", None, "size", "a")] == [0, 1, 5]
    assert [point.value for point in memory.points("sizes", None, "size", "b")] == [5]
    told = [(each.old, each.new, each.after, each.at) for each in memory.changes("words", None)]
    at = [NOW + timedelta(seconds=second) for second in (0, 1, 60, 61)]
    assert told == [("1", "2", at[0], at[1]), ("2", "3", at[1], at[2]), ("3", "4", at[2], at[3])]
    unsaved = memory.take_unsaved(whole=True)
    assert unsaved is not None
    assert [each.change.new for each in unsaved.changes] == ["3", "4"]
    memory.take(later({"port": "4"}, "words", 70), WORDS, 7)
    assert len(memory.changes("words", None)) == 3


def test_another_cluster_is_told_although_the_store_came_late() -> None:
    before, memory = Memory(), Memory()
    before.take(later({IDENTITY: "7", "timeline": "1"}, "words", 0), WORDS, 7)
    memory.take(later({IDENTITY: "8", "timeline": "4"}, "words", 60), WORDS, 8)
    memory.restore(kept_by(before))
    told = [(each.key, each.old, each.new) for each in memory.changes("words", None)]
    assert told == [(IDENTITY, "7", "8")]
    unsaved = memory.take_unsaved(whole=True)
    assert unsaved is not None
    assert (unsaved.anew, [each.change.new for each in unsaved.changes]) == (True, ["8"])


def test_what_another_cluster_left_behind_is_not_taken_up() -> None:
    late, early = Memory(), Memory()
    late.take(later([Sample("a", 5, "x")], "sizes", 60), SIZES, 8)
    late.restore(before_a_restart())
    early.restore(before_a_restart())
    early.take(later([Sample("a", 5, "x")], "sizes", 60), SIZES, 8)
    for memory in (late, early):
        assert [point.value for point in memory.points("sizes", None, "size", "a")] == [5]
        assert memory.changes("words", None) == ()
        unsaved = memory.take_unsaved(whole=True)
        assert unsaved is not None
        assert (unsaved.anew, unsaved.cluster) == (True, 8)


def test_a_series_that_cannot_be_read_costs_itself() -> None:
    kept = before_a_restart()
    memory = Memory()
    memory.restore(replace(kept, series=[replace(kept.series[0], points=b"?"), kept.series[1]]))
    assert memory.points("sizes", None, "size", "a") == ()
    assert len(memory.points("sizes", None, "size", "b")) == 2


def test_what_the_store_did_not_take_is_offered_again() -> None:
    memory = Memory()
    memory.take(later([Sample("a", 1)], "sizes", 0), SIZES, 7)
    for second, port in enumerate("12"):
        memory.take(later({"port": port}, "words", second), WORDS, 7)
    memory.retain(())
    memory.forget("else")
    unsaved = memory.take_unsaved(whole=True)
    assert unsaved is not None
    memory.give_back(unsaved)
    again = memory.take_unsaved(whole=True)
    assert again == unsaved
    assert memory.take_unsaved(whole=False) is None


def test_what_is_over_when_the_store_fails_does_not_come_back() -> None:
    """Another cluster answered, or a database was dropped, while the store was being written."""
    for over in ("cluster", "database"):
        memory = Memory()
        for second, port in enumerate("12"):
            memory.take(of_database({"port": port}, "words", "shop", second), WORDS, 7)
        unsaved = memory.take_unsaved(whole=True)
        assert unsaved is not None
        if over == "cluster":
            memory.take(of_database({"port": "9"}, "words", "shop", 60), WORDS, 8)
        else:
            memory.retain({"crm"})
        memory.give_back(unsaved)
        again = memory.take_unsaved(whole=True)
        assert again is not None
        assert again.changes == ()
        assert again.anew is (over == "cluster")


def test_a_change_is_told_at_once_and_written_without_the_rest() -> None:
    told: list[str] = []
    memory = Memory(lambda: told.append("changed"))
    memory.take(later([Sample("a", 1)], "sizes", 0), SIZES)
    memory.take(later({"port": "1"}, "words", 0), WORDS)
    assert told == []
    assert memory.take_unsaved(whole=False) is None
    memory.take(later({"port": "2"}, "words", 9), WORDS)
    assert told == ["changed"]
    unsaved = memory.take_unsaved(whole=False)
    assert unsaved is not None
    assert [each.change.new for each in unsaved.changes] == ["2"]
    assert [dict(each.known) for each in unsaved.journals] == [{"port": "2"}]
    assert not unsaved.series
