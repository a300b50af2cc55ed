"""multixact_members: what is certain of the places in use, from what the checkpoints said."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from alerts.rules.multixact_members import RULE, MultixactMembersParams, bounds, grown
from collectors.wraparound import ID_SPACE, Checkpointed, Counters, DatabaseAge, WraparoundReading
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from tests.support import views
from tests.support.readings import NOW, context, snapshot

MILLION = 1_000_000


def reading(oldest: int, used: int, checkpointed: Checkpointed | None) -> WraparoundReading:
    database = DatabaseAge("shop", 0, used, oldest, connectable=True, template=False)
    counters = Counters(9_000 * MILLION, 200 * MILLION, 400 * MILLION)
    return WraparoundReading(counters=counters, databases=(database,), checkpointed=checkpointed)


def points(*values: float) -> Sequence[Point]:
    """An hour apart, the last one now."""
    return [
        Point(NOW - timedelta(hours=len(values) - 1 - index), value) for index, value in enumerate(values)
    ]


def judge(
    rows: WraparoundReading, multixacts: Sequence[Point], places: Sequence[Point], **known: Any
) -> Judgement:
    series = {"member_multixacts": multixacts, "member_places": places}
    known = {"history": lambda name, _key="": series[name], **known}
    return RULE.evaluate(snapshot(rows, "wraparound"), MultixactMembersParams(), context(**known))


def test_places_are_counted_on_over_the_end_of_their_numbers() -> None:
    assert [point.value for point in grown(points(ID_SPACE - 10, 5, 25))] == [0, 15, 35]
    assert grown(()) == []


def test_the_oldest_multixact_lies_between_two_readings() -> None:
    """Made after the second reading and before the third: at most what was given out since the second."""
    rows = reading(oldest=150, used=250, checkpointed=Checkpointed(400, 9_000))
    used = bounds(rows, points(50, 100, 200, 400), points(0, 1_000, 3_000, 9_000))
    assert used == (6_000, 8_000)


def test_what_is_older_than_the_first_reading_has_no_upper_bound() -> None:
    rows = reading(oldest=20, used=380, checkpointed=Checkpointed(400, 9_000))
    assert bounds(rows, points(50, 400), points(1_000, 9_000)) == (8_000, None)
    judgement = judge(rows, points(50, 400), points(1_000, 9_000))
    assert judgement.findings == ()
    assert judgement.scope.blind_to(None, "multixact members")


def test_an_old_cluster_that_never_froze_is_known_exactly() -> None:
    rows = reading(oldest=1, used=399, checkpointed=Checkpointed(400, 9_000))
    judgement = judge(rows, points(400), points(9_000))
    assert judgement == Judgement((), Scope())


def test_no_multixact_in_use_needs_no_place() -> None:
    rows = reading(oldest=400, used=0, checkpointed=Checkpointed(400, 9_000))
    assert judge(rows, (), ()) == Judgement((), Scope())


def test_what_is_used_at_least_is_enough_for_an_alarm() -> None:
    grew = 3_600 * MILLION
    rows = reading(oldest=20, used=380, checkpointed=Checkpointed(400, grew))
    judgement = judge(rows, points(50, 400), points(0, grew))
    (found,) = judgement.findings
    assert found.level is Level.CRITICAL
    assert found.summary.startswith("At least 83.8 % of the room for members of multixacts is used")
    assert judgement.scope == Scope()


def test_from_19_on_there_is_no_end() -> None:
    rows = reading(oldest=20, used=380, checkpointed=Checkpointed(400, 9_000))
    facts = views.facts(version_num=190000)
    assert judge(rows, points(400), points(ID_SPACE - 1), facts=facts) == Judgement((), Scope())


def test_without_the_control_file_it_says_that_it_cannot_tell() -> None:
    judgement = judge(reading(oldest=20, used=380, checkpointed=None), (), ())
    assert "GRANT EXECUTE ON FUNCTION pg_control_checkpoint()" in judgement.scope.reason
