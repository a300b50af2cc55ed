"""The history of readings never takes more than it may, whatever is written, and forgets the oldest first."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("size", [200, 1000, 2500, 3900, 6000, 20_000])
def test_the_cap_holds_in_the_file_after_each_write(store: Store, path: Path, size: int) -> None:
    """To a tenth, with blocks of any size: what a row wastes of a page counts, and room is made first."""
    empty, most_bytes, at_once = used_bytes(path), 4 * CAP, max(4, 40_000 // size)
    for start in range(0, 12 * CAP // size, at_once):
        store.samples.add([block(start + n, size) for n in range(at_once)], since=EVER, most_bytes=most_bytes)
        assert store.samples.size_bytes() <= most_bytes
        assert used_bytes(path) - empty <= most_bytes * 1.1
    kept = minutes(store)
    assert kept == list(range(start + at_once - len(kept), start + at_once))
    assert used_bytes(path) - empty > most_bytes / 2


def used_bytes(file: Path) -> int:
    """All pages of the file, those that were used once and are free included."""
    with closing(sqlite3.connect(file)) as connection:
        [(pages, size)] = connection.execute("SELECT * FROM pragma_page_count, pragma_page_size")
    return int(pages * size)


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
    assert store.samples.size_bytes() < before - 3 * 900
    assert store.samples.fine(T0 + timedelta(minutes=3, seconds=1), most=10) == []


def test_those_of_targets_that_are_gone_are_pruned(store: Store) -> None:
    store.samples.add([block(1), block(2, target="billing")], since=EVER, most_bytes=CAP)
    store.prune(Keep(resolved_since=EVER, targets=frozenset({"billing"})))
    assert minutes(store) == []
    assert len(list(store.samples.of("billing", "activity", EVER))) == 1
