"""The history of readings never takes more than it may, whatever is written, and forgets the oldest first."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pgvigil.model.sample import SampleBlock
from pgvigil.store import Store
from pgvigil.store.care import Keep
from tests.support.views import T0

EVER = T0 - timedelta(days=365)
CAP = 100_000


def block(minute: int, size: int = 1000, **different: object) -> SampleBlock:
    plain = SampleBlock(
        target="orders",
        collector="activity",
        database=None,
        first_at=T0 + timedelta(minutes=minute),
        last_at=T0 + timedelta(minutes=minute + 1),
        readings=6,
        every_s=10.0,
        coarse=False,
        data=bytes([minute % 256]) * size,
    )
    return replace(plain, **different)  # type: ignore[arg-type]


def minutes(store: Store, since: datetime = EVER) -> list[float]:
    return [(one.first_at - T0).total_seconds() / 60 for one in store.samples.of("orders", "activity", since)]


def test_the_cap_holds_after_each_write_and_the_file_does_not_grow_beyond_it(
    store: Store, path: Path
) -> None:
    sizes = []
    for start in range(0, 400, 20):
        store.samples.add([block(start + n) for n in range(20)], since=EVER, most_bytes=CAP)
        assert store.samples.size_bytes() <= CAP
        sizes.append(path.stat().st_size)
    kept = minutes(store)
    assert kept == list(range(400 - len(kept), 400))
    assert len(kept) * 1300 > CAP - 1300
    assert max(sizes[8:]) - sizes[7] < CAP  # what is dropped makes room for what comes


def test_one_that_is_larger_than_all_may_be_is_not_kept(store: Store) -> None:
    store.samples.add([block(0)], since=EVER, most_bytes=CAP)
    store.samples.add([block(1, size=CAP)], since=EVER, most_bytes=CAP)
    assert store.samples.size_bytes() <= CAP


def test_what_is_too_old_goes_with_the_next_write(store: Store) -> None:
    store.samples.add([block(n) for n in range(4)], since=EVER, most_bytes=CAP)
    store.samples.add([], since=T0 + timedelta(minutes=3), most_bytes=CAP)
    assert minutes(store) == [2, 3]


def test_each_comes_back_as_it_was_and_those_that_ended_before_do_not(store: Store) -> None:
    wanted = block(5, database="shop", coarse=True)
    store.samples.add(
        [wanted, block(1), block(9, target="billing"), block(9, collector="wal")], since=EVER, most_bytes=CAP
    )
    [found] = store.samples.of("orders", "activity", T0 + timedelta(minutes=3))
    assert replace(found, id=0) == wanted


def test_old_ones_are_replaced_by_coarser_ones_once(store: Store) -> None:
    store.samples.add([block(n) for n in range(4)], since=EVER, most_bytes=CAP)
    old = store.samples.fine(T0 + timedelta(minutes=3, seconds=1), most=10)
    assert len(old) == 3
    before = store.samples.size_bytes()
    store.samples.replace([replace(one, coarse=True, data=b"less") for one in old])
    assert store.samples.size_bytes() == before - 3 * 996
    assert store.samples.fine(T0 + timedelta(minutes=3, seconds=1), most=10) == []


def test_those_of_targets_that_are_gone_are_pruned(store: Store) -> None:
    store.samples.add([block(1), block(2, target="billing")], since=EVER, most_bytes=CAP)
    store.prune(Keep(resolved_since=EVER, targets=frozenset({"billing"})))
    assert minutes(store) == []
    assert len(list(store.samples.of("billing", "activity", EVER))) == 1
