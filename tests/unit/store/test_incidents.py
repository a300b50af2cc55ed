"""Incidents come back as they were, all or nothing, under ids that are never given twice."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgvigil.model.delivery import DeliveryStatus, Want
from pgvigil.model.evidence import Block, BlockKind, Branch, Evidence, Figure, Step
from pgvigil.model.incident import Event, Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.store import Store, StoreError
from pgvigil.store.codec import evidence_of
from tests.support.views import T0, incident


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for many examples: they are told apart by their ids."""
    opened = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/pgvigil.db")
    yield opened
    opened.close()


def opened(**changes: object) -> Transition:
    return Transition("opened", None, incident(id=0, **changes))


def commit(store: Store, *transitions: Transition) -> list[Incident]:
    return store.incidents.commit(transitions, ())


HOSTILE = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["\udcff\udc00", "a\x00b", "\x1bjson:x", "\u202eevil", "<!channel> `x`", "é" * 100, ""]
)
STAMPS = st.datetimes(timezones=st.just(UTC)) | st.just(
    datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))
)
FLOATS = st.none() | st.floats(allow_nan=False)
FIGURES = st.lists(st.builds(Figure, HOSTILE, HOSTILE), max_size=3).map(tuple)


def branches(below: st.SearchStrategy[tuple[Branch, ...]]) -> st.SearchStrategy[Branch]:
    return st.builds(
        Branch,
        name=HOSTILE,
        state=HOSTILE,
        wants=HOSTILE,
        figures=FIGURES,
        statement=HOSTILE,
        running=st.booleans(),
        below=below,
        hidden=st.integers(0, 9),
    )


TREES = branches(st.lists(branches(st.just(())), max_size=2).map(tuple))
EVIDENCE = st.builds(
    Evidence,
    impact=HOSTILE,
    figures=FIGURES,
    blocks=st.lists(
        st.builds(Block, st.sampled_from(BlockKind), HOSTILE, HOSTILE, st.none() | TREES), max_size=3
    ).map(tuple),
    cause=HOSTILE,
    notes=st.lists(HOSTILE).map(tuple),
)
INCIDENTS = st.builds(
    Incident,
    id=st.just(0),
    rule=HOSTILE,
    target=HOSTILE,
    database=st.none() | HOSTILE,
    subject=HOSTILE,
    state=st.sampled_from(State),
    severity=st.sampled_from(Level),
    peak=st.sampled_from(Level),
    version=st.integers(0, 2**62),
    summary=HOSTILE,
    value=FLOATS,
    peak_value=FLOATS,
    pending_since=STAMPS,
    fired_at=st.none() | STAMPS,
    last_true_at=STAMPS,
    state_since=STAMPS,
    evaluated_at=STAMPS,
    resolved_at=st.none() | STAMPS,
    reason=HOSTILE,
    evidence=EVIDENCE,
    steps=st.lists(st.builds(Step, HOSTILE, st.none() | HOSTILE)).map(tuple),
    about=st.frozensets(HOSTILE),
    explains=st.frozensets(HOSTILE),
    labels=st.lists(st.tuples(HOSTILE, HOSTILE)).map(tuple),
    reopened=st.integers(0, 2**31),
    parent_id=st.none() | st.integers(1, 2**62),
    suppressed_by=st.none() | HOSTILE,
    silenced_by=st.none() | HOSTILE,
    acknowledged_by=st.none() | HOSTILE,
    unattended_since=st.none() | STAMPS,
    was_silenced_by=st.none() | HOSTILE,
    silencer=st.none() | HOSTILE,
    silenced_until=st.none() | STAMPS,
)
EXAMPLE = itertools.count()


@settings(max_examples=80, deadline=None)
@given(example=INCIDENTS)
def test_every_field_comes_back_exactly(shared: Store, example: Incident) -> None:
    """Also text that has no UTF-8, NUL, control and bidi characters, and stamps to the microsecond."""
    unlike_others = replace(example, subject=f"{example.subject}{next(EXAMPLE)}")
    (kept,) = commit(shared, Transition("opened", None, unlike_others))
    read = shared.incidents.get(kept.id)
    assert read == kept == replace(unlike_others, id=kept.id)
    stamps = [getattr(read, each.name) for each in fields(kept) if each.name.endswith("_since")]
    assert all(stamp is None or stamp.tzinfo is UTC for stamp in stamps)


def test_a_stamp_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="no time zone"):
        commit(store, opened(evaluated_at=T0.replace(tzinfo=None)))
    assert store.incidents.list() == []


def test_new_ones_get_ids_in_order_and_old_ones_keep_theirs(store: Store) -> None:
    first, second = commit(store, opened(subject="a"), opened(subject="b"))
    assert (first.id, second.id) == (1, 2)
    worse = replace(first, severity=Level.CRITICAL, version=2)
    third, again = commit(store, opened(subject="c"), Transition("worse", first, worse))
    assert (third.id, again) == (3, worse)
    assert store.incidents.get(1) == worse


def test_an_id_is_never_given_again(store: Store) -> None:
    """Not after its incident was dropped, not after it was pruned."""
    (first,) = commit(store, opened(subject="a", state=State.PENDING, fired_at=None))
    commit(store, Transition("dropped", first, replace(first, state=State.RESOLVED, resolved_at=T0)))
    assert store.incidents.get(first.id) is None
    assert store.incidents.history(first.id) == []
    (second,) = commit(store, opened(subject="a", state=State.RESOLVED, resolved_at=T0))
    assert store.incidents.prune(T0 + timedelta(seconds=1)) == 1
    (third,) = commit(store, opened(subject="a"))
    assert [first.id, second.id, third.id] == [1, 2, 3]


def test_a_returned_incident_that_is_dropped_is_kept_as_resolved(store: Store) -> None:
    """It fired once: its history is not thrown away because it nearly fired again."""
    (fired,) = commit(store, opened())
    pending = replace(fired, state=State.PENDING, version=3)
    commit(store, Transition("opened", fired, pending))
    resolved = replace(pending, state=State.RESOLVED, version=4, resolved_at=T0)
    commit(store, Transition("dropped", pending, resolved))
    assert store.incidents.get(fired.id) == resolved


def test_a_row_that_vanished_is_written_again_under_its_id(store: Store) -> None:
    (kept,) = commit(store, opened())
    commit(store, Transition("resolved", kept, replace(kept, state=State.RESOLVED, resolved_at=T0)))
    store.incidents.prune(T0 + timedelta(hours=1))
    back = replace(kept, version=5)
    assert commit(store, Transition("reopened", kept, back)) == [back]
    assert store.incidents.get(kept.id) == back


def test_a_fault_has_one_open_incident_whatever_the_caller_thinks(store: Store) -> None:
    commit(store, opened())
    with pytest.raises(StoreError):
        commit(store, opened())
    assert len(store.incidents.open()) == 1
    assert store.incidents.commit([opened(subject="another")], ())[0].id == 2


def test_a_commit_is_all_or_nothing(store: Store) -> None:
    (kept,) = commit(store, opened())
    worse = Transition("worse", kept, replace(kept, version=9))
    with pytest.raises(StoreError):  # the second one breaks the rule of one open incident per fault
        store.incidents.commit([worse, opened()], [Want(0, "oncall", Level.CRITICAL)])
    assert store.incidents.get(kept.id) == kept
    assert [event.kind for event in store.incidents.history(kept.id)] == ["opened"]
    assert store.deliveries.of_incident(kept.id) == []


def test_the_history_tells_every_change_but_new_figures(store: Store) -> None:
    (kept,) = commit(store, opened(version=1))
    later = replace(kept, evaluated_at=T0 + timedelta(minutes=1), version=2)
    commit(store, Transition("refreshed", kept, later))
    gone = replace(later, state=State.UNKNOWN, version=3, reason="target is down")
    commit(store, Transition("unknown", later, gone, "target is down"))
    assert store.incidents.history(kept.id) == [
        Event(at=T0, kind="opened", version=1, why="", severity=Level.CRITICAL, state=State.FIRING),
        Event(
            at=later.evaluated_at,
            kind="unknown",
            version=3,
            why="target is down",
            severity=Level.CRITICAL,
            state=State.UNKNOWN,
        ),
    ]


def test_what_is_open_and_what_was_resolved_lately(store: Store) -> None:
    names = {"a": State.PENDING, "b": State.FIRING, "c": State.UNKNOWN}
    commit(store, *(opened(subject=name, state=state) for name, state in names.items()))
    ended = [T0 - timedelta(hours=2), T0]
    commit(store, *(opened(subject="d", state=State.RESOLVED, resolved_at=at) for at in ended))
    commit(store, opened(subject="e", target="billing"))
    assert [each.subject for each in store.incidents.open("orders-prod")] == ["a", "b", "c"]
    assert [each.subject for each in store.incidents.open()] == ["a", "b", "c", "e"]
    recent = store.incidents.recent("orders-prod", T0 - timedelta(hours=1))
    assert [each.resolved_at for each in recent] == [T0]
    assert [each.subject for each in store.incidents.list(limit=3)] == ["e", "c", "b"]
    assert [each.subject for each in store.incidents.list(states=[State.RESOLVED])] == ["d", "d"]
    assert store.incidents.list(rule="target_down") == []
    assert store.incidents.counts() == {
        ("blocking_chain", Level.CRITICAL, State.PENDING): 1,
        ("blocking_chain", Level.CRITICAL, State.FIRING): 2,
        ("blocking_chain", Level.CRITICAL, State.UNKNOWN): 1,
    }


def test_eight_threads_lose_no_update(store: Store) -> None:
    """Each transaction reads and writes; with SQLite's defaults most of these would be lost unnoticed."""
    commit(store, *(opened(subject=str(number)) for number in range(8)))

    def work(incident_id: int) -> None:
        for _ in range(40):
            read = store.incidents.get(incident_id)
            assert read is not None
            raised = replace(read, version=read.version + 1, evidence=Evidence(impact=str(read.version)))
            store.incidents.commit([Transition("worse", read, raised)], [Want(0, "oncall", Level.INFO)])

    threads = [threading.Thread(target=work, args=(number + 1,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.version for each in store.incidents.list()} == {42}
    assert all(len(store.incidents.history(number + 1)) == 41 for number in range(8))
    rows = [store.deliveries.of_incident(number + 1)[0] for number in range(8)]
    assert {(row.want_version, row.status) for row in rows} == {(42, DeliveryStatus.DUE)}


def test_evidence_written_before_there_were_trees_is_read() -> None:
    old = '{"impact":"","figures":[],"blocks":[["tree","Who waits","8123"]],"cause":"","notes":[]}'
    assert evidence_of(old).blocks == (Block(BlockKind.TREE, "Who waits", "8123"),)
