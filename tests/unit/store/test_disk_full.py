"""A disk that is full, fails or hangs: nobody waits for it and nothing is lost, and the file has all of it later."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pgvigil.model.incident import Transition
from pgvigil.problems import SetupError
from pgvigil.store import Store, StoreError
from pgvigil.store.failover import Turn
from tests.support.disks import fill
from tests.support.failing_store import (
    SOON,
    WANT,
    assert_same,
    assert_whole,
    big,
    commit_until_full,
    in_file,
    opened,
    small,
)
from tests.support.frozen import Disk
from tests.support.polling import poll

ROOT = Path(__file__).parents[3]


@contextmanager
def a_limit_on_files(limit_bytes: int) -> Iterator[None]:
    """Files of this process cannot grow further, which SQLite calls an I/O error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, former)


def test_on_a_full_disk_all_goes_on_and_is_in_the_file_when_there_is_space(small_disk: Path) -> None:
    path, ballast, turns = small_disk / "pgvigil.db", small_disk / "ballast", list[Turn]()
    ballast.write_bytes(b"x" * 1_200_000)
    with opened(path, turns) as store:
        count = commit_until_full(store)
        assert count > 1
        assert [turn.now is not None for turn in turns] == [True]
        assert "full" in turns[0].now.why  # type: ignore[union-attr]
        assert store.in_memory_since is not None
        (kept,) = store.incidents.commit([small("in memory")], WANT)
        assert kept.id == count + 1
        assert_whole(store, count + 1)
        assert len(in_file(path)["incident"]) == count - 1
        ballast.unlink()
        poll(lambda: store.writable, 10)
        poll(lambda: len(turns) == 2, 5)
        assert turns[1].before == turns[0].now
        assert turns[1].rows >= 6
        assert store.errors >= 1
        assert_same(store)
    with opened(path) as again:
        assert_whole(again, count + 1)


def test_a_reader_elsewhere_knows_that_the_file_is_behind(small_disk: Path) -> None:
    path = small_disk / "pgvigil.db"
    with opened(path) as store:
        ballast = fill(small_disk)
        commit_until_full(store)
        with closing(Store.open(f"sqlite:///{path}", exclusive=False)) as reader:
            assert reader.in_memory_since == store.in_memory_since
        ballast.unlink()
        poll(lambda: store.writable, 10)
        with closing(Store.open(f"sqlite:///{path}", exclusive=False)) as reader:
            poll(lambda: reader.in_memory_since is None, 5)


def test_texts_are_still_known_while_it_lasts(small_disk: Path) -> None:
    with opened(small_disk / "pgvigil.db") as store:
        fill(small_disk)
        commit_until_full(store)
        store.texts.put("shop", {(1, 2, 3): "SELECT 1"})
        assert store.texts.get("shop", [(1, 2, 3), (1, 2, 4)]) == {(1, 2, 3): "SELECT 1"}


def test_what_only_a_file_can_do_is_refused_while_it_lasts(small_disk: Path) -> None:
    with opened(small_disk / "pgvigil.db") as store:
        fill(small_disk)
        commit_until_full(store)
        with pytest.raises(StoreError, match="in memory"):
            store.copy()
        with pytest.raises(StoreError, match="takes no writes"):
            store.rows()


def test_a_full_disk_refuses_a_new_store_and_opens_an_old_one(small_disk: Path) -> None:
    path, turns = small_disk / "pgvigil.db", list[Turn]()
    ballast = fill(small_disk)
    with pytest.raises(SetupError) as caught:
        Store.open(f"sqlite:///{path}")
    assert caught.value.problems[0].slug == "store-disk-full"
    ballast.unlink()
    with opened(path) as store:
        store.incidents.commit([small("before")], WANT)
    ballast = fill(small_disk)
    with opened(path, turns) as store:
        assert not store.writable
        assert [turn.now is not None for turn in turns] == [True]
        (kept,) = store.incidents.commit([small("during")], WANT)
        assert kept.id == 2
        ballast.unlink()
        poll(lambda: store.writable, 10)
        assert_same(store)


def test_a_full_disk_opens_a_store_that_was_killed(small_disk: Path) -> None:
    """Its log has what the file lacks."""
    path = small_disk / "pgvigil.db"
    killed(path, "store.state.put('channel', 'C1'); os.kill(os.getpid(), 9)")
    assert (small_disk / "pgvigil.db-wal").stat().st_size
    (small_disk / "pgvigil.db-shm").unlink()
    fill(small_disk)
    with opened(path) as store:
        assert not store.writable
        assert store.state.get("channel") == "C1"


def killed(path: Path, code: str) -> None:
    program = (
        "import os, sys; from pgvigil.store import Store; store = Store.open('sqlite:///' + sys.argv[1]);"
    )
    child = subprocess.run([sys.executable, "-c", program + code, str(path)], cwd=ROOT, check=False)
    assert child.returncode == -signal.SIGKILL


def test_an_io_error_costs_nothing(path: Path) -> None:
    with opened(path) as store:
        with a_limit_on_files(path.stat().st_size + 600_000):
            count = commit_until_full(store)
            assert "I/O" in store._failover.in_memory.why  # type: ignore[union-attr]
        poll(lambda: store.writable, 10)
        assert_whole(store, count)
        old = store.incidents.get(1)
        assert old is not None
        store.incidents.commit([Transition("worse", old, replace(old, version=9))], WANT)
        assert_same(store)


def test_a_file_that_was_deleted_is_noticed(path: Path) -> None:
    """SQLite would go on writing to a file without a name."""
    with opened(path) as store:
        path.unlink()
        store.incidents.commit([small("after")], WANT)
        assert "No such file" in store._failover.in_memory.why  # type: ignore[union-attr]
        assert_whole(store, 1)


def test_memory_is_bounded_and_says_so(store: Store) -> None:
    raw = store._failover._memory._raw
    (pages,) = raw.execute("PRAGMA page_count").fetchone()
    raw.execute(f"PRAGMA max_page_count = {pages + 100}")
    store.incidents.commit([big("fits")], WANT)
    with pytest.raises(StoreError, match="full"):
        store.incidents.commit([big("does not"), big("fit"), big("at all")], WANT)
    assert_same(store)


def test_a_copy_of_a_store_in_use_is_whole(store: Store, path: Path, tmp_path: Path) -> None:
    """An unclean copy (file and WAL, as after a power cut) opens and has everything that was committed."""
    for number in range(5):
        store.incidents.commit([big(str(number))], WANT)
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), tmp_path / f"copy.db{suffix}")
    with opened(tmp_path / "copy.db") as copy:
        assert_whole(copy, 5)


def test_closing_in_memory_saves_what_it_can_and_counts_what_it_cannot(small_disk: Path) -> None:
    path = small_disk / "pgvigil.db"
    never = replace(SOON, probe_every_s=3600.0)
    for freed in (True, False):
        store = Store.open(f"sqlite:///{path}", limits=never)
        before = len(store.incidents.list())
        ballast = fill(small_disk)
        store.incidents.commit([big(f"during {freed}")], WANT)
        assert not store.writable
        if freed:
            ballast.unlink()
        assert (store.close() == 0) is freed
        ballast.unlink(missing_ok=True)
        with opened(path) as again:
            assert len(again.incidents.list()) == before + freed


# --- a disk that hangs -----------------------------------------------------------------------------------------


def given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What became of each wait for the disk from now on: False where its time ran out."""
    ends: list[bool] = []
    changed = store._failover._changed
    wait_for = changed.wait_for

    def watched(done: Callable[[], bool], most_s: float | None = None) -> bool:
        ends.append(wait_for(done, most_s))
        return ends[-1]

    monkeypatch.setattr(changed, "wait_for", watched)
    return ends


def test_a_disk_that_hangs_is_waited_for_once(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[Turn] = []
    with opened(disk.folder / "pgvigil.db", turns) as store:
        store.incidents.commit([small("before")], WANT)
        with disk.frozen():
            waits = given_up(store, monkeypatch)
            for number in range(20):
                store.incidents.commit([small(str(number))], WANT)
            assert waits.count(False) == 1
            assert [turn.now is not None for turn in turns] == [True]
            assert store.texts.get("shop", [(1, 2, 3)]) == {}
            assert_whole(store, 21)
            assert store.busy_s < 1
        poll(lambda: store.writable, 10)
        assert_whole(store, 21)
        assert_same(store)
    with opened(disk.folder / "pgvigil.db") as again:
        assert_whole(again, 21)


def test_closing_does_not_wait_for_a_disk_that_hangs_and_keeps_the_lock(disk: Disk) -> None:
    path = disk.folder / "pgvigil.db"
    store = Store.open(f"sqlite:///{path}", limits=SOON)
    with disk.frozen():
        store.incidents.commit([small("during")], WANT)
        began_s = time.monotonic()
        assert store.close() > 0
        assert time.monotonic() - began_s < 5
        assert store._failover.hangs
        with pytest.raises(SetupError) as caught:
            Store.open(f"sqlite:///{path}")
        assert caught.value.problems[0].slug == "store-in-use"
    poll(lambda: not store._failover.hangs, 10)
    store.close()
    with opened(path) as again:
        assert_whole(again, 1)  # what hung came through in the end


def test_a_slow_disk_is_given_up_and_the_file_follows(disk: Disk) -> None:
    """Many writers behind one disk: the whole queue is written at once, and nobody is last."""
    slow = replace(SOON, write_s=5.0, slow_s=0.05, slow_writes=2, quick_s=0.02)
    with opened(disk.folder / "pgvigil.db", limits=slow) as store:
        with disk.slow(0.3):
            threads = [
                threading.Thread(target=store.incidents.commit, args=([small(str(number))], WANT))
                for number in range(100)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for number in range(100, 105):
                time.sleep(0.1)  # not waiting for a state: so that it begins while the disk hangs
                store.incidents.commit([small(str(number))], WANT)
            assert_whole(store, 105)
            assert not store.writable
            assert "in a row" in store._failover.in_memory.why  # type: ignore[union-attr]
        poll(lambda: store.writable, 10)
        assert_same(store)


def test_a_marker_that_is_damaged_says_nothing(path: Path) -> None:
    with opened(path):
        pass
    marker = path.with_name("pgvigil.db-marker")
    assert json.loads(marker.read_text())["in_memory_since"] is None
    marker.write_bytes(b"\xff" * 100)
    with opened(path) as store:
        assert store.in_memory_since is None
