"""A full disk: every write is told, none is half done, and all is well when there is space again."""

import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from pgvigil.model.delivery import Want
from pgvigil.model.evidence import Block, BlockKind, Evidence
from pgvigil.model.incident import Transition
from pgvigil.model.level import Level
from pgvigil.problems import SetupError
from pgvigil.store import Store, StoreError
from tests.support.disks import fill
from tests.support.polling import poll
from tests.support.views import incident

WANT = [Want(0, "oncall", Level.CRITICAL)]


def big(subject: str) -> Transition:
    evidence = Evidence(blocks=(Block(BlockKind.TEXT, "", "x" * 200_000),))
    return Transition("opened", None, incident(id=0, subject=subject, evidence=evidence))


def commit_until_full(store: Store) -> int:
    """How many were kept before the first that was refused."""
    for number in range(1000):
        try:
            store.incidents.commit([big(str(number))], WANT)
        except StoreError:
            return number
    raise AssertionError("the disk was never full")


def assert_whole(store: Store, count: int) -> None:
    kept = store.incidents.list(limit=None)
    assert len(kept) == count
    for each in kept:
        assert len(store.incidents.history(each.id)) == 1
        assert len(store.deliveries.of_incident(each.id)) == 1


def test_writes_fail_whole_and_succeed_when_space_is_back(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 500_000)
    store = Store.open(f"sqlite:///{small_disk}/pgvigil.db")
    count = commit_until_full(store)
    assert count > 0
    assert not store.writable
    assert store.errors == 1
    assert_whole(store, count)
    with pytest.raises(StoreError, match=r"full|I/O"):
        store.incidents.commit([big("again")], WANT)
    ballast.unlink()
    (kept,) = store.incidents.commit([big("at last")], WANT)
    assert kept.id == count + 1
    assert store.writable
    assert_whole(store, count + 1)
    store.close()


def test_readiness_comes_back_by_itself_when_space_is_back(small_disk: Path) -> None:
    """Also when nothing else is written meanwhile."""
    store = Store.open(f"sqlite:///{small_disk}/pgvigil.db")
    ballast = fill(small_disk)
    commit_until_full(store)
    assert not store.writable
    ballast.unlink()
    poll(lambda: store._database.writable(probe_after_s=0.05), 5)
    store.close()


def test_a_full_disk_at_start_is_said_and_leaves_nothing_behind(small_disk: Path) -> None:
    path = small_disk / "pgvigil.db"
    ballast = fill(small_disk)
    with pytest.raises(SetupError) as caught:
        Store.open(f"sqlite:///{path}")
    assert caught.value.problems[0].slug == "store-disk-full"
    ballast.unlink()
    Store.open(f"sqlite:///{path}").close()
    fill(small_disk)
    with pytest.raises(SetupError) as caught:
        Store.open(f"sqlite:///{path}")
    assert caught.value.problems[0].slug == "store-disk-full"
    assert str(path) in str(caught.value)


def test_a_store_that_may_not_grow_fails_whole(store: Store) -> None:
    """The same without a mount: the writing connection may use only a few pages more."""
    engine = store._database._writer
    assert engine is not None
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 200}")
    count = commit_until_full(store)
    assert 0 < count < 10
    assert not store.writable
    assert_whole(store, count)
    (kept,) = store.incidents.commit([big("a fresh connection has no such limit")], WANT)
    assert store.writable
    assert_whole(store, count + 1)
    assert kept.id == count + 1


def test_an_io_error_fails_whole(store: Store, path: Path) -> None:
    """A limit on the size of files: the WAL cannot grow, which SQLite calls an I/O error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 600_000, before[1]))
        count = commit_until_full(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, former)
    assert not store.writable
    assert_whole(store, count)
    store.incidents.commit([big("at last")], WANT)
    assert_whole(store, count + 1)
    old = store.incidents.get(1)
    assert old is not None
    store.incidents.commit([Transition("worse", old, replace(old, version=9))], WANT)
    assert store.writable


def test_a_copy_of_a_store_in_use_is_whole(store: Store, path: Path, tmp_path: Path) -> None:
    """An unclean copy (file and WAL, as after a power cut) opens and has everything that was committed."""
    for number in range(5):
        store.incidents.commit([big(str(number))], WANT)
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), tmp_path / f"copy.db{suffix}")
    copy = Store.open(f"sqlite:///{tmp_path}/copy.db")
    assert_whole(copy, 5)
    copy.close()
