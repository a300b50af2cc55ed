"""What the catalogue says of a cluster is told once: by its primary, where that is watched."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from collectors.constraints import ConstraintsReading
from collectors.relation_sizes import RelationSize, RelationSizesReading
from collectors.sequences import Counts, Sequence, SequencesReading
from pgvigil.model.facts import Facts
from pgvigil.model.finding import Judgement
from pgvigil.model.series import Point
from pgvigil.registry import rules
from tests.support.readings import NOW, context, snapshot
from tests.support.views import facts
from tests.unit.rules.test_constraint_not_valid import unproven

STANDBY = replace(facts(), in_recovery=True)


@dataclass(frozen=True)
class Other:
    """Another target of the same cluster."""

    facts: Facts
    up: bool = True
    name: str = "other"

    def latest(self, _feed: str, _database: str | None = None) -> None:
        return None


READINGS: dict[str, tuple[str, Any]] = {
    "constraint_not_valid": ("constraints", ConstraintsReading(unproven=(unproven(),))),
    "sequence_exhaustion": (
        "sequences",
        SequencesReading(
            sequences=(Sequence(1, "public", "ids", None, None, None, None, 99, 100, 1, False, 99.0),),
            counts=Counts(1, 0, 0),
        ),
    ),
    "relation_growth": (
        "relation_sizes",
        RelationSizesReading(relations=(RelationSize(1, "public", "t", 0, 0, 900 * 1024**3, 1, False),)),
    ),
}


def judged(name: str, *others: Other, here: Facts = STANDBY) -> Judgement:
    feed, reading = READINGS[name]
    past = (Point(NOW - timedelta(days=1), 1.0), Point(NOW, 2.0))
    known = context(facts=here, peers=others, history=lambda _series, _key="": past)
    return rules()[name].evaluate(snapshot(reading, feed, database="shop"), rules()[name].params(), known)


@pytest.mark.parametrize("name", READINGS)
def test_a_standby_is_silent_while_its_primary_tells_it(name: str) -> None:
    assert judged(name, Other(facts())).findings == ()


@pytest.mark.parametrize("name", READINGS)
@pytest.mark.parametrize(
    "others", [(), (Other(facts(), up=False),), (Other(STANDBY),)], ids=["alone", "down", "another standby"]
)
def test_a_standby_tells_it_where_nobody_else_does(name: str, others: tuple[Other, ...]) -> None:
    assert len(judged(name, *others).findings) == 1


@pytest.mark.parametrize("name", READINGS)
def test_a_primary_tells_it_whoever_else_is_watched(name: str) -> None:
    assert len(judged(name, Other(STANDBY), here=facts()).findings) == 1
