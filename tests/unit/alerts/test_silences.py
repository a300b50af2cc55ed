"""Silences that cannot hurt: who is not disturbed, until when, and what is told after all."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alerts.silences import LONGEST_S, Added, SilenceRefusedError, Silences, refuse
from pgvigil.model.incident import Transition
from pgvigil.model.level import Level
from pgvigil.model.silence import Silence
from pgvigil.store import Store
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World

RULE = "idle_in_transaction"
HOUR_S = 3600.0


class Quiet(World):
    """A target whose engine asks for silences."""

    silences: Silences

    def restart(self, away_s: float) -> None:
        self.silences = Silences(self.store.silences)
        self.silenced = self.silences.covering
        super().restart(away_s)

    def _on_commit(self, transitions: Sequence[Transition]) -> None:
        super()._on_commit(transitions)
        self.silences.committed(transitions)

    def silence(self, *, dry_run: bool = False, for_s: float = HOUR_S, **more: Any) -> Added:
        return self.silences.add(made(self, for_s, **more), self.engine.open, dry_run=dry_run)

    def fire(self, after_s: float = 1, level: Level = Level.WARNING) -> list[str]:
        return self.read(after_s, RULE, finding(RULE, level=level))

    @property
    def by(self) -> str | None:
        return self.incident(RULE).silenced_by


def made(world: World, for_s: float = HOUR_S, **more: Any) -> Silence:
    now = world.clock.now.utc
    plain: dict[str, Any] = {"match": (("rule", RULE),), "author": "ana", "reason": "a deploy"}
    ends = now + timedelta(seconds=for_s)
    return Silence(id=0, created_at=now, ends_at=ends, **(plain | more))


@pytest.fixture
def quiet(store: Store) -> Quiet:
    return Quiet(store)


def test_what_fires_while_it_is_silenced_is_marked_in_the_same_commit(quiet: Quiet) -> None:
    """So that no destination can be faster than the mark."""
    quiet.silence()
    assert quiet.fire() == [f"{RULE} fired"]
    assert quiet.by == "SIL-1"
    assert quiet.store.incidents.open()[0].silenced_by == "SIL-1"


def test_the_mark_comes_and_goes_and_the_history_says_by_whom(quiet: Quiet) -> None:
    quiet.fire()
    quiet.silence()
    assert quiet.fire() == [f"{RULE} silenced"]
    assert quiet.fire(HOUR_S) == [f"{RULE} unsilenced"]
    assert quiet.by is None
    whys = [event.why for event in quiet.store.incidents.history(1)]
    assert whys[1:] == ["SIL-1 by ana: a deploy", "SIL-1 has ended; quiet until now"]


def test_since_when_nobody_looks_after_it_is_written_with_what_made_it_so(quiet: Quiet) -> None:
    """Reminders count from there, so that a process that is killed must not lose it."""

    def stored() -> tuple[object, str | None]:
        (kept,) = quiet.store.incidents.open()
        return kept.unattended_since, kept.was_silenced_by

    quiet.fire()
    began = quiet.clock.now.utc
    assert stored() == (began, None)
    quiet.silence()
    quiet.fire()
    assert stored() == (None, None)
    quiet.fire(HOUR_S)
    ended = quiet.clock.now.utc
    assert stored() == (ended, "SIL-1")
    quiet.fire(60)
    assert stored() == (ended, "SIL-1")
    quiet.read(10, RULE)
    assert quiet.fire() == [f"{RULE} reopened"]
    assert stored() == (quiet.clock.now.utc, None), "another time that it fires"


def test_it_ends_when_somebody_expires_it_and_holds_over_a_restart_until_then(quiet: Quiet) -> None:
    quiet.fire()
    quiet.silence()
    quiet.fire()
    quiet.restart(5)
    quiet.fire()
    assert quiet.by == "SIL-1"
    expired = quiet.silences.expire(1, "bob", quiet.clock.now.utc)
    assert expired is not None
    quiet.fire()
    assert quiet.by is None
    quiet.restart(5)
    assert [one.expired_by for one in quiet.silences.all] == ["bob"]
    assert quiet.silences.expire(9, "bob", quiet.clock.now.utc) is None


def test_until_resolved_it_hides_the_episodes_of_then_and_no_later_one(quiet: Quiet) -> None:
    with pytest.raises(SilenceRefusedError, match="nothing that fires matches"):
        quiet.silence(until_resolved=True)
    quiet.fire()
    added = quiet.silence(until_resolved=True)
    assert [one.name for one in added.hides] == ["INC-1"]
    quiet.fire()
    assert quiet.by == "SIL-1"
    quiet.read(10, RULE)
    assert quiet.fire() == [f"{RULE} reopened"]
    assert quiet.by is None


def test_until_worse_it_is_told_when_it_gets_worse(quiet: Quiet) -> None:
    quiet.fire()
    quiet.silence(worst=Level.WARNING)
    quiet.fire()
    assert quiet.by == "SIL-1"
    assert quiet.fire(1, Level.CRITICAL) == [f"{RULE} worse"]
    assert quiet.by is None


def test_a_resolve_keeps_the_mark_so_that_it_is_shown_and_not_heard(quiet: Quiet) -> None:
    quiet.fire()
    quiet.silence()
    quiet.fire()
    quiet.read(10, RULE)
    last = quiet.written[-1]
    assert (last.kind, last.after.silenced_by) == ("resolved", "SIL-1")


@pytest.mark.parametrize(
    ("match", "covered"),
    [
        ((("rule", "idle_*"),), True),
        ((("rule", "other"), ("rule", RULE)), True),
        ((("rule", RULE), ("target", "billing")), False),
        ((("env", "prod"),), True),
        ((("env", "test"),), False),
        ((("subject", "statement*"),), True),
        ((("incident", "INC-1"),), True),
        ((("incident", "INC-2"),), False),
        ((("severity", "critical"),), False),
        ((("typo", "*x"),), False),
    ],
)
def test_matchers_are_those_of_routes(quiet: Quiet, match: Any, covered: bool) -> None:
    quiet.fire()
    assert bool(quiet.silence(match=match, dry_run=True).hides) is covered
    assert quiet.silences.all == ()


def test_none_is_for_ever_and_none_hides_for_long_what_could_be_critical(quiet: Quiet) -> None:
    day = 86_400
    allowed: list[dict[str, Any]] = [
        {"for_s": day},
        {"for_s": LONGEST_S, "worst": Level.WARNING},
        {"for_s": LONGEST_S, "match": (("incident", "INC-7"),)},
        {"for_s": LONGEST_S, "match": (("severity", "warning"),)},
    ]
    for good in allowed:
        refuse(made(quiet, **good))
    refused: list[dict[str, Any]] = [
        {"for_s": 0},
        {"for_s": day + 1},
        {"for_s": LONGEST_S, "match": (("incident", "INC-*"),)},
        {"for_s": LONGEST_S, "match": (("severity", "warning"), ("severity", "crit*"))},
        {"for_s": LONGEST_S + 1, "match": (("incident", "INC-7"),)},
        {"match": ()},
        {"reason": ""},
    ]
    for bad in refused:
        with pytest.raises(SilenceRefusedError):
            refuse(made(quiet, **bad))


def test_what_it_kept_quiet_is_remembered_and_old_ones_are_forgotten(quiet: Quiet) -> None:
    quiet.silence(for_s=60)
    assert quiet.silences.all[0].matched_at is None
    quiet.fire()
    stored = quiet.store.silences.list()
    assert stored == list(quiet.silences.all)
    assert stored[0].matched_at == quiet.clock.now.utc
    later = quiet.clock.after(7200).utc
    for _ in range(505):
        one = made(quiet, 1)
        quiet.store.silences.add(replace(one, created_at=later, ends_at=later))
    assert len(quiet.store.silences.list()) == 501


def test_there_are_not_more_than_people_can_oversee(quiet: Quiet) -> None:
    for _ in range(200):
        quiet.silence()
    with pytest.raises(SilenceRefusedError, match="200 silences already"):
        quiet.silence()
