"""The store does not grow without end, and gives back what it does not need."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pgvigil.model.delivery import Want
from pgvigil.model.evidence import Block, BlockKind, Evidence
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.store import Store
from pgvigil.store.care import BOUNDS, Keep
from pgvigil.store.schema import METADATA
from tests.support.views import T0, incident

KEEP = Keep(resolved_since=T0, targets=frozenset({"orders-prod"}))


def resolved(store: Store, number: int, **changes: object) -> Incident:
    """One that was resolved `number` minutes after T0, and told."""
    ended = T0 + timedelta(minutes=number)
    one = incident(id=0, subject=str(number), state=State.RESOLVED, resolved_at=ended, **changes)
    (kept,) = store.incidents.commit([Transition("opened", None, one)], [Want(0, "oncall", Level.CRITICAL)])
    return kept


def test_every_table_is_bounded_by_something() -> None:
    assert BOUNDS.keys() == METADATA.tables.keys()


def test_resolved_incidents_go_by_age_with_all_that_hangs_on_them(store: Store) -> None:
    old, young = resolved(store, -1), resolved(store, 1)
    (still_open,) = store.incidents.commit([Transition("opened", None, incident(id=0, subject="open"))], [])
    pruned = store.prune(KEEP)
    assert pruned.incidents == 1
    assert {each.id for each in store.incidents.list()} == {young.id, still_open.id}
    assert store.incidents.history(old.id) == []
    assert store.deliveries.of_incident(old.id) == []


def test_of_too_many_the_oldest_go_and_no_open_one(store: Store) -> None:
    kept = [resolved(store, number) for number in range(500)]
    (still_open,) = store.incidents.commit([Transition("opened", None, incident(id=0, subject="open"))], [])
    assert store.prune(replace(KEEP, most_resolved=3)).incidents == 497
    left = {each.id for each in store.incidents.list(limit=None)}
    assert left == {each.id for each in kept[-3:]} | {still_open.id}


def test_a_long_history_keeps_its_beginning_and_what_is_new(store: Store) -> None:
    (one,) = store.incidents.commit([Transition("opened", None, incident(id=0))], [])
    for version in range(2, 30):
        after = replace(one, version=version)
        store.incidents.commit([Transition("worse", one, after)], [])
    assert store.prune(replace(KEEP, most_transitions=5)).transitions == 24
    history = store.incidents.history(one.id)
    assert [event.version for event in history] == [2, 26, 27, 28, 29]
    assert history[0].kind == "opened"
    assert store.prune(replace(KEEP, most_transitions=5)).transitions == 0


def test_texts_of_all_targets_together_are_bounded(store: Store) -> None:
    keep = Keep(resolved_since=T0, targets=frozenset({"a", "b"}), most_text_chars=2500)
    for queryid in range(1000):
        store.texts.put("ab"[queryid % 2], {(1, 2, queryid): "x" * 100})
    store.texts.put("gone", {(1, 2, 3): "x" * 1000})
    assert store.prune(keep).texts == 1 + 975
    kept = store.texts.get("a", [(1, 2, queryid) for queryid in range(1000)])
    assert min(queryid for _, _, queryid in kept) == 976


def test_the_file_becomes_smaller(store: Store, path: Path) -> None:
    evidence = Evidence(blocks=(Block(BlockKind.TEXT, "", "x" * 20_000),))
    for number in range(-100, 0):
        resolved(store, number, evidence=evidence)
    pruned = store.prune(KEEP)
    assert pruned.incidents == 100
    assert pruned.freed_bytes > 1_900_000
    store.close()
    assert path.stat().st_size < 200_000


def test_pruning_lets_others_write_in_between(store: Store) -> None:
    """Another thread's write waits for a batch, not for the end: it is done while the pruning still runs."""
    for number in range(-900, 0):
        resolved(store, number)
    begun, ended, between = threading.Event(), threading.Event(), []

    def write() -> None:
        begun.set()
        while not ended.is_set():
            store.state.put("tick", len(between))
            between.append(ended.is_set())

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait(5)
    store.prune(KEEP)
    ended.set()
    writer.join()
    assert between.count(False) >= 2


def test_a_rewrite_keeps_everything(store: Store) -> None:
    kept = resolved(store, 1)
    before = store.rows()
    store.rewrite()
    assert store.rows() == before
    assert store.incidents.get(kept.id) == kept
    store.state.put("still", "writable")
