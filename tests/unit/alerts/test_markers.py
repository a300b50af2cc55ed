"""Markers: what was done near an incident is named in its likely cause, nearest first, and nowhere else."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.markers import Markers
from pgvigil.model.evidence import Evidence
from pgvigil.model.marker import Marker
from pgvigil.store import Store
from pgvigil.store.markers import MOST_KEPT
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World

RULE = "idle_in_transaction"


class Marked(World):
    """A target whose engine asks for markers."""

    markers: Markers

    def restart(self, away_s: float) -> None:
        self.markers = Markers(self.store.markers)
        self.near = self.markers.near
        super().restart(away_s)

    def mark(self, text: str, ago_s: float, **more: Any) -> Marker:
        at = self.clock.utc - timedelta(seconds=ago_s)
        return self.markers.add(Marker(**{"id": text, "at": at, "text": text, "author": "ana", **more}))

    def fire(self, after_s: float = 0, cause: str = "") -> str:
        """The cause that the incident shows then."""
        self.read(after_s, RULE, finding(RULE, evidence=Evidence(cause=cause)))
        return self.incident(RULE).evidence.cause


@pytest.fixture
def world(store: Store) -> Marked:
    return Marked(store)


def test_what_was_done_shortly_before_comes_before_the_rules_own_words(world: Marked) -> None:
    world.mark("deploy v1.42", ago_s=192)
    said = "First seen 3m12s after: deploy v1.42 (by ana). The client thinks."
    assert world.fire(cause="The client thinks.") == said
    assert world.store.incidents.open()[0].evidence.cause == said


def test_the_two_nearest_before_and_the_first_after_are_told_within_an_hour(world: Marked) -> None:
    for text, ago_s in (("yesterday", 3601), ("a", 3600), ("b", 120), ("c", 60)):
        world.mark(text, ago_s)
    world.fire()
    world.clock.after(300)
    world.mark("rollback", ago_s=60)
    world.mark("again", ago_s=30)
    before = "First seen 1m after: c (by ana). First seen 2m after: b (by ana)."
    assert world.fire(1) == f"{before} 4m later: rollback (by ana)."


def test_a_marker_that_comes_late_is_told_with_the_next_figures(world: Marked) -> None:
    """A pipeline may say only at its end when it began."""
    assert world.fire() == ""
    version = world.incident(RULE).version
    world.mark("migration", ago_s=30)
    assert world.fire(120) == "First seen 30s after: migration (by ana)."
    assert world.incident(RULE).version > version


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ((("target", "orders-*"), ("env", "prod")), True),
        ((("target", "billing"), ("target", "orders-prod")), True),
        ((("target", "orders-*"), ("env", "dev")), False),
        ((("database", "shop"),), False),
        ((("no_such_label", "x"),), False),
    ],
)
def test_it_is_told_of_what_it_is_about_only(world: Marked, match: Any, told: bool) -> None:
    world.mark("deploy", 60, match=match)
    assert bool(world.fire()) is told


def test_the_same_id_is_the_same_marker_also_after_a_restart(world: Marked) -> None:
    first = world.mark("deploy", 60)
    assert world.mark("deploy", 5) == first
    world.restart(10)
    assert world.markers.all == (first,)
    assert world.mark("deploy", 5) == first


def test_text_of_others_stays_one_printable_line(world: Marked) -> None:
    world.mark("deploy\x1b[31m\nv2\u202e", 60)
    assert world.fire().isprintable()


def test_only_the_newest_are_kept(world: Marked, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("alerts.markers", "pgvigil.store.markers"):
        monkeypatch.setattr(f"{module}.MOST_KEPT", 3)
    for number in range(5):
        world.mark(f"m{number}", ago_s=100 - number)
    assert [one.text for one in world.markers.all] == ["m2", "m3", "m4"]
    assert world.store.markers.list() == list(world.markers.all)
    assert MOST_KEPT > 3
