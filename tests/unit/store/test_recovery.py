"""A recovery is whole or has not begun, whatever stops it, and the daemon can read what root recovered."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pgvigil.model.delivery import DeliveryStatus, Want
from pgvigil.model.incident import Incident, Transition
from pgvigil.model.level import Level
from pgvigil.problems import SetupError
from pgvigil.store import Store, StoreError, copies, files
from tests.support.reporting import not_run
from tests.support.views import incident
from tests.unit.store.test_copies import damage, url, with_a_copy

ROOT = Path(__file__).parents[3]


def test_a_recovery_that_is_killed_anywhere_is_ended_by_the_next_start(tmp_path: Path) -> None:
    """Never a new store instead, and never without a word."""
    folder = tmp_path / "store"
    folder.mkdir()
    with_a_copy(folder / "pgvigil.db")
    damage(folder / "pgvigil.db")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.dying_recovery", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) > 10
    for each in rounds:
        assert each == {
            "step": each["step"],
            "killed": each is not rounds[-1],
            "remembered": True,
            "told": True,
        }


def test_a_large_store_is_checked_too(path: Path) -> None:
    """A restart is what `store-damaged` asks for: it must find the damage again whatever the size."""
    with_a_copy(path)
    with closing(sqlite3.connect(path)) as plain:
        (page,) = plain.execute("SELECT rootpage FROM sqlite_master WHERE name = 'statement_text'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
        file.truncate(300 * 1024 * 1024)
    with closing(Store.open(url(path))) as store:
        assert store.recovered is not None
        assert "page" in store.recovered.why.lower(), "where it is damaged, in SQLite's words"
        assert store.state.get("before") == "copy"


def test_a_copy_that_does_not_reach_the_disk_replaces_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = store.copy()
    inode = good.path.stat().st_ino

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StoreError, match="Input/output error"):
        store.copy()
    assert good.path.stat().st_ino == inode


def test_a_folder_that_cannot_be_synced_is_no_failure(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fails)
    assert store.copy().path.exists()


def test_a_disk_without_room_for_the_recovery_leaves_the_damaged_store(small_disk: Path) -> None:
    path = small_disk / "pgvigil.db"
    with_a_copy(path)
    damage(path)
    before = path.read_bytes()
    fill = small_disk / "ballast"
    fill.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 50_000))
    with pytest.raises(SetupError) as caught:
        Store.open(url(path))
    assert caught.value.problems[0].slug == "store-disk-full"
    assert path.read_bytes() == before
    fill.unlink()
    with closing(Store.open(url(path))) as store:
        assert store.state.get("before") == "copy"


def test_what_root_makes_belongs_to_whom_the_store_belongs(path: Path) -> None:
    """`sudo pgvigil store prune` must not leave a store, a lock or a copy that the daemon cannot open."""
    if os.geteuid() != 0:
        not_run("only root gives files away")
    with_a_copy(path)
    for file in path.parent.iterdir():
        os.chown(file, 65534, 65534)
    path.with_name("pgvigil.db.lock").unlink()
    damage(path)
    with closing(Store.open(url(path))) as store:
        store.copy()
        assert {file.name: file.stat().st_uid for file in path.parent.glob("pgvigil.db*")} == {
            file.name: 65534 for file in path.parent.glob("pgvigil.db*")
        }


def test_a_copy_that_nobody_may_delete_is_an_error_of_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that became read-only: the daemon says so instead of meeting an error that it does not know."""

    def refuses(*_given: object, **_named: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuses)
    with pytest.raises(StoreError, match="Read-only"):
        copies.make(store.path)
    files.discard(store.path)
    assert store.path.exists()


def test_what_was_sent_since_the_copy_is_in_doubt_and_its_numbers_are_not_given_again(path: Path) -> None:
    """Slack may have messages of the lost hour: they are looked for, and INC-2 stays what they say it is."""
    with closing(Store.open(url(path))) as store:
        opened(store, "known to the copy")
        store.copy()
        assert opened(store, "lost").id == 2
    damage(path)
    with closing(Store.open(url(path))) as store:
        assert store.recovered is not None
        (row,) = store.deliveries.of_incident(1)
        assert row.status is DeliveryStatus.AMBIGUOUS
        assert row.act_at == store.recovered.copied_at
        assert opened(store, "new").id > 100
    with closing(Store.open(url(path))) as store:
        assert opened(store, "once").id < 1100, "it counts once"


def opened(store: Store, subject: str) -> Incident:
    fired = Transition("opened", None, incident(id=0, subject=subject))
    (kept,) = store.incidents.commit([fired], [Want(0, "oncall", Level.CRITICAL)])
    return kept
