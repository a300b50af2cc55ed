"""What holds of every target, whatever is read, lost, restarted or not written: long stories by lot."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest

from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.store import Store, StoreError
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World

STEPS = 120
SESSIONS = ("session 1@t", "session 2@t", "session 3@t")
RULES = ("blocking_chain", "idle_in_transaction", "long_transaction", "slow_query")
LEVELS = (Level.HOLD, Level.WARNING, Level.WARNING, Level.CRITICAL)
FIRED = (State.FIRING, State.UNKNOWN)


def _finding(lot: Random, rule: str) -> Finding:
    if rule == "target_down":
        return finding(rule, "server", Level.CRITICAL)
    session = lot.choice(SESSIONS)
    explains = frozenset(SESSIONS[:2]) if rule == "blocking_chain" else frozenset({session})
    return finding(rule, session, lot.choice(LEVELS), about=frozenset({session}), explains=explains)


def _story(world: World, lot: Random) -> Iterator[str]:
    """Does one thing after another; says what it did."""
    for _ in range(STEPS):
        doing = lot.choices(("read", "down", "lose", "restart", "disk"), (20, 6, 2, 1, 2))[0]
        after_s = lot.choice((0.0, 5.0, 30.0, 100.0))
        with suppress(StoreError):
            if doing == "disk":
                world.disk.fails_after = lot.choice((None, None, 0, 1))
            elif doing == "restart":
                world.restart(after_s)
            elif doing == "lose":
                world.lose(after_s, lot.choice(RULES))
            elif doing == "down":
                world.read(after_s, "target_down", *([_finding(lot, "target_down")] * (lot.random() < 0.7)))
            else:
                rules = lot.sample(RULES, lot.randint(1, 3))
                found = {rule: [_finding(lot, rule) for _ in range(lot.randint(0, 2))] for rule in rules}
                world.read_all(after_s, found)
        yield doing


@pytest.mark.parametrize("seed", range(12))
def test_what_holds_of_every_story(store: Store, seed: int) -> None:
    """Memory and store agree; every version is wanted, in order; marks and states fit together."""
    world = World(store)
    seen = 0
    for doing in _story(world, Random(seed)):
        _holds_of_what_was_written(world, seen, doing)
        _holds_of_what_is_open(world)
        seen = len(world.written)


def test_these_stories_meet_everything_that_can_happen(store: Store) -> None:
    """Otherwise the promises above would hold of nothing."""
    met = set()
    for seed in range(4):
        world = World(store, target=f"target {seed}")
        for _ in _story(world, Random(seed)):
            pass
        met.update(one.kind for one in world.written)
    assert met == {
        *("opened", "fired", "worse", "better", "refreshed", "unknown", "known"),
        *("resolved", "reopened", "dropped", "suppressed", "unsuppressed"),
    }


def _holds_of_what_was_written(world: World, seen: int, doing: str) -> None:
    for one in world.written[seen:]:
        before, after = one.before, one.after
        assert after.id > 0
        assert after.version >= (before.version if before else 1)
        assert one.kind != "resolved" or doing in {"read", "down"}, "nothing resolves but by a reading"
        assert after.state is not State.UNKNOWN or after.reason
        if after.fired_at is not None and after.state is not State.PENDING:
            [row] = world.store.deliveries.of_incident(after.id)
            assert row.want_version >= after.version


def _holds_of_what_is_open(world: World) -> None:
    held, stored = world.engine.open(), world.store.incidents.open(world.target)
    assert [_kept(one) for one in held] == [_kept(one) for one in sorted(stored, key=lambda one: one.id)]
    for one in held:
        assert (one.parent_id is None) == (one.suppressed_by is None)
        assert one.parent_id is None or one.state in FIRED
        assert one.state not in FIRED or one.fired_at is not None
    down = [one for one in held if one.rule == "target_down" and one.state is State.FIRING]
    if down and world.disk.fails_after is None:
        assert all(one.parent_id == down[0].id for one in held if one.state in FIRED and one != down[0])


def _kept(incident: Incident) -> tuple[object, ...]:
    """What must be the same in memory and in the store; figures (a pending level too) may be newer in memory."""
    level = None if incident.state is State.PENDING else incident.severity
    return incident.id, incident.state, level, incident.parent_id, incident.version
