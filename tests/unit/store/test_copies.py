"""The copy beside the store: good or not there at all, and what it saves when the store is damaged."""

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pgvigil.problems import SetupError
from pgvigil.store import Store, StoreError, copies, files
from pgvigil.store.schema import REVISION
from tests.support.disks import fill

TEXTS = {(1, 2, queryid): "x" * 4000 for queryid in range(50)}


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def damage(path: Path) -> None:
    """All but the first two pages, as a failing disk might leave it."""
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))


def with_a_copy(path: Path) -> None:
    """A closed store: `before` is in its copy as well, `after` is not."""
    store = Store.open(url(path))
    store.texts.put("orders", TEXTS)
    store.state.put("before", "copy")
    store.copy()
    store.state.put("after", "copy")
    store.close()


def test_a_copy_is_whole_private_and_of_one_file(store: Store, path: Path) -> None:
    store.state.put("channel", "C1")
    made = store.copy()
    assert made == store.last_copy
    assert made.path == path.with_name("pgvigil.db-copy")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{made.path}?mode=ro", uri=True)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert plain.execute("SELECT value FROM state WHERE key = 'channel'").fetchall() == [('"C1"',)]
    assert not list(path.parent.glob("*.new*"))


def test_copying_holds_up_no_writer(store: Store) -> None:
    """Copies are made without a pause while another thread writes: all is written, and each copy is whole."""
    store.texts.put("orders", TEXTS)
    done = threading.Event()

    def write() -> None:
        for number in range(300):
            store.state.put("number", number)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    made = 0
    while not done.is_set() or made == 0:
        assert copies.damage(store.copy().path) is None
        made += 1
    writer.join()
    assert store.state.get("number") == 299
    assert store.errors == 0


def test_a_damaged_store_is_replaced_by_its_copy_and_kept(path: Path) -> None:
    with_a_copy(path)
    damage(path)
    store = Store.open(url(path))
    assert store.state.get("before") == "copy"
    assert store.state.get("after") is None
    assert store.texts.get("orders", TEXTS) == TEXTS
    recovered = store.recovered
    assert recovered is not None
    assert recovered.moved_to.exists()
    assert recovered.copied_at <= recovered.written_at
    store.state.put("after", "recovery")
    store.close()
    again = Store.open(url(path))
    assert again.state.get("after") == "recovery"
    assert again.recovered == recovered, "a loss is said until the damaged file is deleted"
    again.close()
    recovered.moved_to.unlink()
    with closing(Store.open(url(path))) as mended:
        assert mended.recovered is None


@pytest.mark.parametrize("kept_bytes", [0, 100, 5000])
def test_a_store_that_was_cut_off_is_replaced_too(path: Path, kept_bytes: int) -> None:
    """Also when nothing is left of it, as after a power failure: only a file that is not there is a new store."""
    with_a_copy(path)
    path.write_bytes(path.read_bytes()[:kept_bytes])
    store = Store.open(url(path))
    assert store.state.get("before") == "copy"
    assert store.recovered is not None
    store.close()


def test_the_copy_of_a_store_that_was_moved_away_never_replaces_the_new_one(path: Path) -> None:
    with_a_copy(path)
    path.unlink()
    store = Store.open(url(path))
    assert store.state.get("before") is None
    assert store.recovered is None
    assert store.last_copy is None
    store.close()
    assert len(list(path.parent.glob("pgvigil.db.before-*"))) == 1


def test_without_a_copy_a_damaged_store_is_refused_and_left_as_it_is(path: Path) -> None:
    with_a_copy(path)
    path.with_name("pgvigil.db-copy").unlink()
    damage(path)
    before = path.read_bytes()
    with pytest.raises(SetupError) as caught:
        Store.open(url(path))
    assert caught.value.problems[0].slug == "store-corrupt"
    assert path.read_bytes() == before


def test_a_copy_that_is_damaged_itself_replaces_nothing(path: Path) -> None:
    with_a_copy(path)
    damage(path)
    damage(path.with_name("pgvigil.db-copy"))
    before = path.read_bytes()
    with pytest.raises(SetupError, match="not a usable store"):
        Store.open(url(path))
    assert path.read_bytes() == before


def test_a_damaged_store_never_replaces_its_good_copy(path: Path) -> None:
    with_a_copy(path)
    good = path.with_name("pgvigil.db-copy").read_bytes()
    damage(path)
    with pytest.raises(copies.DamagedStoreError):
        copies.make(path)
    assert path.with_name("pgvigil.db-copy").read_bytes() == good
    assert not list(path.parent.glob("*.new*"))


def test_a_reader_never_recovers(path: Path) -> None:
    with_a_copy(path)
    damage(path)
    with pytest.raises(SetupError):
        Store.open(url(path), exclusive=False).state.get("before")
    assert not list(path.parent.glob("*.damaged-*"))


def test_of_damaged_stores_the_newest_two_are_kept(path: Path) -> None:
    with_a_copy(path)
    for number in range(4):
        aside = path.with_name(f"pgvigil.db.damaged-2026010{number}T000000Z")
        shutil.copy(path, aside)
        aside.with_name(aside.name + "-wal").touch()
    damage(path)
    Store.open(url(path)).close()
    kept = list(path.parent.glob("pgvigil.db.damaged-*"))
    assert len([each for each in kept if not each.name.endswith("-wal")]) == files.KEPT
    assert len(kept) <= 2 * files.KEPT


def test_an_upgrade_keeps_the_store_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is made before the migration touches anything, so that a way back remains."""
    with_a_copy(path)
    monkeypatch.setattr("pgvigil.store.opening.REVISION", "9999")
    Store.open(url(path)).close()
    (kept,) = path.parent.glob("pgvigil.db.before-*")
    assert kept.name == f"pgvigil.db.before-{REVISION}"
    with closing(sqlite3.connect(kept)) as plain:
        assert plain.execute("SELECT value FROM state WHERE key = 'after'").fetchall() == [('"copy"',)]


def test_an_upgrade_without_room_for_the_copy_changes_nothing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_disk / "pgvigil.db"
    with_a_copy(path)
    before = path.read_bytes()
    ballast = fill(small_disk)
    os.truncate(ballast, ballast.stat().st_size - 100_000)
    monkeypatch.setattr("pgvigil.store.opening.REVISION", "9999")
    with pytest.raises(SetupError, match="could not be copied") as caught:
        Store.open(url(path))
    assert caught.value.problems[0].slug == "store-migration"
    assert path.read_bytes() == before


def test_a_copy_is_never_what_fills_the_disk(small_disk: Path) -> None:
    path = small_disk / "pgvigil.db"
    store = Store.open(url(path))
    store.texts.put("orders", {(1, 2, queryid): "x" * 4000 for queryid in range(200)})
    with pytest.raises(StoreError, match="of space"):
        store.copy()
    assert store.last_copy is None
    store.state.put("still", "writable")
    store.close()
