"""Maintenance by a mark in the target: a silence while the mark is there, and never for long."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from alerts.maintenance_marks import GONE, MOST_OF_TARGET, MaintenanceMarks, Mark, Source
from alerts.silences import Silences
from pgvigil.store import Store
from tests.support.views import T0, incident

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
COMMENT, SESSION = ("shop", "comment"), ("shop", "session")


def mark(text: str = "pgvigil:maintenance", **different: Any) -> Mark:
    plain = {"target": "shop", "by": "session", "database": "orders", "role": "deploy", "most_s": 4 * 3600.0}
    return Mark(text=text, **{**plain, **different})


class Office:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.at = T0
        self.restart()

    def restart(self) -> None:
        self.silences = Silences(self.store.silences)
        self.marks = MaintenanceMarks(self.silences, list)

    def look(self, *marks: Mark, after: timedelta = timedelta(0)) -> list[str]:
        """Both sources were looked at, and had these. What holds then."""
        return self.sees({COMMENT: [], SESSION: marks}, after)

    def sees(self, seen: dict[Source, Sequence[Mark] | None], after: timedelta = timedelta(0)) -> list[str]:
        self.at += after
        self.marks.look(seen, self.at)
        return [one.name for one in self.silences.all if one.active(self.at)]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def test_a_mark_is_a_silence_of_its_target_for_as_long_as_it_is_there(office: Office) -> None:
    assert office.look(mark("etl pgvigil:maintenance reason=pg_repack")) == ["SIL-1"]
    (made,) = office.silences.all
    assert made.author == "mark of deploy"
    assert made.reason == "pg_repack (application_name of a session in orders)"
    assert made.ends_at == T0 + 4 * HOUR
    assert office.silences.covering(incident(target="shop"), T0) == made
    assert office.silences.covering(incident(target="shop2"), T0) is None
    assert office.look(mark("etl pgvigil:maintenance reason=pg_repack"), after=MINUTE) == ["SIL-1"]
    assert office.look(after=MINUTE) == []
    (made,) = office.silences.all
    assert (made.expired_by, made.expired_at) == (GONE, T0 + 2 * MINUTE)


def test_the_same_words_at_another_time_are_another_mark(office: Office) -> None:
    office.look(mark())
    office.look(after=MINUTE)
    office.restart()
    assert office.look(mark(), after=HOUR) == ["SIL-2"]


def test_until_says_when_it_ends_and_what_is_left_standing_then_says_nothing(office: Office) -> None:
    said = mark('pgvigil:maintenance until=2026-11-22T10:30Z reason="move to new disks"', by="comment")
    assert said.reason == "move to new disks (comment on database orders)"
    late = mark(f"pgvigil:maintenance until={(T0 + 30 * MINUTE).isoformat()} reason=x")
    assert office.look(late) == ["SIL-1"]
    assert office.silences.all[0].ends_at == T0 + 30 * MINUTE
    assert office.look(late, after=HOUR) == []
    assert office.marks.doubts == ()
    assert office.silences.all[0].reason.startswith("x (")


@pytest.mark.parametrize("text", ["until=tomorrow", "until=", "until=9999-12-31T23:00-05:00"])
def test_an_end_that_nobody_can_read_silences_nothing_and_is_said(office: Office, text: str) -> None:
    assert office.look(mark(f"pgvigil:maintenance {text}")) == []
    (doubt,) = office.marks.doubts
    assert "is no stamp" in doubt.why


def test_a_forgotten_mark_ends_and_is_said_until_it_is_gone(office: Office) -> None:
    office.look(mark())
    assert office.look(mark(), after=4 * HOUR) == []
    (doubt,) = office.marks.doubts
    assert (doubt.forgotten, doubt.why) == (True, "SIL-1 ended after 4h")
    office.restart()
    assert office.look(mark(), after=MINUTE) == [], "a restart does not renew it"
    assert office.marks.doubts
    assert office.look(after=MINUTE) == []
    assert office.marks.doubts == ()
    assert office.look(mark(), after=MINUTE) == ["SIL-2"]


def test_where_nobody_can_look_it_goes_on(office: Office) -> None:
    """A server that is restarted, and a pgvigil that is."""
    office.look(mark())
    office.restart()
    assert office.sees({COMMENT: None, SESSION: None}, MINUTE) == ["SIL-1"]
    assert office.sees({COMMENT: [], SESSION: None}, MINUTE) == ["SIL-1"]
    assert office.sees({COMMENT: [], SESSION: []}, MINUTE) == []


def test_where_marks_count_no_more_it_ends(office: Office) -> None:
    office.look(mark())
    assert office.sees({COMMENT: []}) == []
    assert office.silences.all[0].expired_by == "configuration"


def test_one_that_somebody_expired_stays_so_until_another_mark(office: Office) -> None:
    office.look(mark())
    office.silences.expire(1, "ana", office.at)
    assert office.look(mark(), after=MINUTE) == []
    office.restart()
    assert office.look(mark(), after=4 * HOUR) == []
    assert office.marks.doubts == ()
    assert office.look(mark("pgvigil:maintenance again"), after=MINUTE) == ["SIL-2"]


def test_marks_one_after_the_other_are_quiet_for_a_day_and_no_longer(office: Office) -> None:
    """Whoever writes a new one every three hours does not keep quiet what is critical for ever."""
    for nth in range(8):
        assert office.look(mark(f"pgvigil:maintenance {nth}"), after=3 * HOUR)
    assert office.look(mark("pgvigil:maintenance 8"), after=3 * HOUR) == []
    (doubt,) = office.marks.doubts
    assert doubt.why == "marks have kept it quiet for 1d already: not for half an hour"
    assert office.look(mark("pgvigil:maintenance 9"), after=29 * MINUTE) == []
    assert office.look(mark("pgvigil:maintenance 9"), after=2 * MINUTE) == ["SIL-9"]


def test_a_short_mark_every_hour_is_no_chain(office: Office) -> None:
    for nth in range(48):
        assert office.look(mark(), after=55 * MINUTE) == [f"SIL-{nth + 1}"]
        assert office.look(after=5 * MINUTE) == []


def test_many_marks_make_few_silences(office: Office) -> None:
    many = [mark(f"pgvigil:maintenance {nth}") for nth in range(MOST_OF_TARGET + 2)]
    assert len(office.look(*many)) == MOST_OF_TARGET
    assert len(office.marks.doubts) == 2


def test_what_a_database_says_is_shown_as_one_plain_line() -> None:
    said = mark("pgvigil:maintenance reason=a\n\u202eb", role="ev\u202eil\n", database="d\nb")
    assert (said.author, said.reason) == (
        "mark of evil",
        "a b (application_name of a session in d b)",
    )
