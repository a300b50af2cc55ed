"""A crash while the file lacked what was done: nothing that people read then is told again without a mark.

The file as it was at a moment, with the note beside it, is all that such a crash leaves.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pgvigil.model.delivery import DeliveryStatus
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.store import Store
from pgvigil.store.lost import ECHO
from pgvigil.store.marker import Marker, in_memory_since
from tests.support.destination import Destination, Message
from tests.support.outbox import Rig

LOOKING = {"can_edit": True, "can_reply": True, "can_look": True}
BLIND = {"can_edit": False, "can_reply": False, "can_look": False}


class Crash:
    """A rig whose store is replaced by what its file was at `freeze`."""

    def __init__(self, store: Store, folder: Path, sink: Destination) -> None:
        self.rig = Rig(store, sink)
        self.sink = sink
        self.folder = folder
        self.opened: list[Store] = []

    def freeze(self) -> None:
        """From here on the disk takes nothing."""
        store = self.rig.store
        for suffix in ("", "-wal"):
            source = store.path.with_name(store.path.name + suffix)
            shutil.copy(source, self.folder / f"frozen.db{suffix}")
        Marker(self.folder / "frozen.db").put(self.rig.clock().utc, 5.0)

    def crash(self) -> None:
        self.opened.append(Store.open(f"sqlite:///{self.folder}/frozen.db"))
        self.rig.store = self.opened[-1]
        self.rig.restart()

    def fire(self, subject: str, **changes: object) -> Incident:
        return self.rig.commit(
            subject=subject, **{"severity": Level.WARNING, "peak": Level.WARNING, **changes}
        )  # type: ignore[arg-type]

    def resolve(self, before: Incident) -> Incident:
        now = self.rig.clock().utc
        return self.rig.commit(before, "resolved", state=State.RESOLVED, resolved_at=now)

    def evaluate(self, truth: dict[str, tuple[State, Level]]) -> dict[str, Incident]:
        """What the engine does after the restart: what is open is judged by the world as it is, or begins."""
        known = {each.subject: each for each in self.rig.store.incidents.list(limit=None)}
        for subject, (state, level) in truth.items():
            before = known.get(subject)
            if before is None:
                if state is State.FIRING:
                    known[subject] = self.fire(subject, severity=level, peak=level)
            elif before.state is State.RESOLVED:
                if state is State.FIRING:
                    known[subject] = self.rig.commit(before, "reopened", state=state, severity=level)
            elif state is State.RESOLVED:
                known[subject] = self.resolve(before)
            else:
                known[subject] = self.rig.commit(before, "worse", severity=level)
        return known

    def of(self, subject: str) -> list[Message]:
        return [message for message in self.sink.messages if message.subject == subject]


Make = Callable[[dict[str, bool]], Crash]


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Iterator[Make]:
    made: list[Crash] = []

    def crash(able: dict[str, bool]) -> Crash:
        made.append(Crash(store, tmp_path, Destination(**able)))  # type: ignore[arg-type]
        return made[-1]

    yield crash
    for each in made:
        for opened in each.opened:
            opened.close()


@pytest.fixture
def looking(make: Make) -> Crash:
    return make(LOOKING)


@pytest.fixture
def blind(make: Make) -> Crash:
    return make(BLIND)


def test_what_was_posted_in_the_lost_time_is_adopted(looking: Crash) -> None:
    looking.freeze()
    looking.fire("other")
    looking.fire("lost")
    looking.rig.run(5)
    looking.crash()
    assert looking.rig.store.incidents.list() == []
    again = looking.fire("lost")
    assert again.id > 1000, "no number is used for two incidents"
    looking.rig.run(60)
    (root,) = looking.of("lost")
    row = looking.rig.row(again.id)
    assert (row.status, row.remote, row.seen_version) == (
        DeliveryStatus.SETTLED,
        {"ts": root.ts},
        again.version,
    )


def test_an_end_that_was_told_in_the_lost_time_is_not_told_again(looking: Crash) -> None:
    fired = looking.fire("a")
    looking.rig.run(5)
    looking.freeze()
    looking.resolve(fired)
    looking.rig.run(5)
    looking.crash()
    looking.evaluate({"a": (State.RESOLVED, Level.WARNING)})
    looking.rig.run(60)
    assert [message.told for message in looking.of("a")] == [None, "resolved"]
    assert all(message.marked is None for message in looking.sink.messages)


def test_an_end_that_was_told_and_is_not_true_is_taken_back(looking: Crash) -> None:
    """The file says that it fires, people read that it ended, and it fires again."""
    fired = looking.fire("a")
    looking.rig.run(5)
    looking.freeze()
    looking.resolve(fired)
    looking.rig.run(5)
    looking.crash()
    looking.evaluate({"a": (State.FIRING, Level.WARNING)})
    looking.rig.run(60)
    assert [message.told for message in looking.of("a")] == [None, "resolved", "reopened"]


def test_what_was_not_told_is_told_without_a_mark(looking: Crash) -> None:
    looking.freeze()
    looking.crash()
    looking.fire("new")
    looking.rig.run(60)
    assert [(message.told, message.marked) for message in looking.of("new")] == [(None, None)]


def test_a_message_of_before_is_not_taken_for_one_of_the_lost_time(looking: Crash) -> None:
    """The same fault an hour ago was another incident: it has its own message."""
    first = looking.fire("a")
    looking.rig.run(5)
    looking.resolve(first)
    looking.rig.run(1200)
    looking.freeze()
    looking.crash()
    looking.fire("a")
    looking.rig.run(60)
    assert len([message for message in looking.of("a") if message.under is None]) == 2


def test_a_destination_that_shows_nothing_gets_marks(blind: Crash) -> None:
    told = blind.fire("told")
    blind.rig.run(5)
    blind.freeze()
    blind.fire("lost")
    blind.rig.run(5)
    before = len(blind.sink.messages)
    blind.crash()
    blind.evaluate({"told": (State.RESOLVED, told.severity), "lost": (State.FIRING, Level.WARNING)})
    blind.rig.run(60)
    later = blind.sink.messages[before:]
    assert {message.subject for message in later} == {"told", "lost"}
    assert all(message.marked is not None for message in later)


def test_the_doubt_is_over_after_an_hour(blind: Crash) -> None:
    blind.freeze()
    blind.crash()
    blind.fire("first")
    blind.rig.run(60)
    blind.rig.clock.pass_time(ECHO.total_seconds())
    blind.fire("later")
    blind.rig.run(60)
    assert [message.marked is not None for message in blind.sink.messages] == [True, False]


def test_another_crash_before_it_is_over_forgets_nothing(looking: Crash) -> None:
    looking.freeze()
    looking.fire("lost")
    looking.rig.run(5)
    looking.crash()
    looking.opened[-1].close()
    Marker(looking.folder / "frozen.db").put(looking.rig.clock().utc, 5.0)
    looking.crash()
    looking.fire("lost")
    looking.rig.run(60)
    assert len(looking.of("lost")) == 1


def test_a_start_that_accounts_for_the_loss_clears_the_note(looking: Crash) -> None:
    looking.freeze()
    assert in_memory_since(looking.folder / "frozen.db") is not None
    looking.crash()
    assert in_memory_since(looking.folder / "frozen.db") is None


def live(crash: Crash, chance: random.Random) -> dict[str, Incident]:
    """Incidents come, change and go, and at some moment the disk takes nothing more."""
    known: dict[str, Incident] = {}
    steps = chance.randrange(4, 16)
    frozen_at = chance.randrange(steps)
    for step in range(steps):
        if step == frozen_at:
            crash.freeze()
        before = known.get(subject := str(chance.randrange(4)))
        if before is None:
            known[subject] = crash.fire(subject)
        elif before.state is State.RESOLVED:
            known[subject] = crash.rig.commit(before, "reopened", state=State.FIRING)
        elif chance.random() < 0.5:
            known[subject] = crash.resolve(before)
        else:
            level = chance.choice([Level.WARNING, Level.CRITICAL])
            known[subject] = crash.rig.commit(before, "worse", severity=level, peak=max(level, before.peak))
        if chance.random() < 0.8:
            crash.rig.run(chance.choice([0, 2, 10]))
    return known


def judge_looking(crash: Crash, incident: Incident) -> None:
    messages = crash.of(incident.subject)
    roots = [message for message in messages if message.under is None]
    assert all(message.marked is None for message in messages)
    assert len(roots) <= 1
    turns = [message.told for message in messages if message.told in ("resolved", "reopened")]
    assert all(one != other for one, other in pairwise(turns)), turns
    if roots:
        assert roots[0].state is incident.state
        assert (turns[-1:] == ["resolved"]) is (incident.state is State.RESOLVED)


@pytest.mark.parametrize("able", [LOOKING, BLIND], ids=["slack", "webhook"])
@pytest.mark.parametrize("seed", range(20))
def test_whenever_it_crashes_people_read_the_truth_and_nothing_twice_unmarked(
    make: Make, seed: int, able: dict[str, bool]
) -> None:
    chance = random.Random(seed)
    crash = make(able)
    known = live(crash, chance)
    before = len(crash.sink.messages)
    crash.crash()
    now = {name: (chance.choice([each.state, State.FIRING]), each.severity) for name, each in known.items()}
    for incident in crash.evaluate(now).values():
        crash.rig.run(600)
        row = crash.rig.store.deliveries.get(incident.id, "oncall")
        assert row is not None
        assert row.status is DeliveryStatus.SETTLED
        if able is LOOKING:
            judge_looking(crash, incident)
        elif messages := crash.of(incident.subject):
            assert messages[-1].state is incident.state
    if able is BLIND:
        assert all(message.marked for message in crash.sink.messages[before:])
