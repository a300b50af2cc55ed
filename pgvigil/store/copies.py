"""A good copy of the store beside it: made while the store is in use, and checked before it counts.

`pgvigil.db-copy` is the last good copy. An upgrade leaves `pgvigil.db.before-REVISION`, a recovery from damage
`pgvigil.db.damaged-WHEN`; of both the newest two are kept.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgvigil.store.database import raw_connection, uri
from pgvigil.store.errors import StoreError

KEPT = 2  # files of each kind that a recovery or an upgrade leaves behind
_COMPANIONS = ("-wal", "-shm")
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DamagedStoreError(StoreError):
    """The file is not what it was written as."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the store as it was at `taken_at`."""

    path: Path
    taken_at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """A damaged store was replaced: what was written between the two stamps is only in `moved_to`."""

    why: str
    copied_at: datetime
    written_at: datetime
    moved_to: Path


def size_bytes(path: Path) -> int:
    """The store and the log of its latest writes. Raises OSError."""
    return sum(file.stat().st_size for file in _files(path))


def last(path: Path) -> Copy | None:
    """The last good copy of the store at `path`."""
    return _described(path.with_name(f"{path.name}-copy"))


def make(path: Path) -> Copy:
    """Replace the last good copy by one of now; readers and the writer go on meanwhile.

    Raises DamagedStoreError when the store cannot be read to its end, StoreError when the copy cannot be written.
    """
    return _make(path, path.with_name(f"{path.name}-copy"))


def make_before_upgrade(path: Path, revision: str) -> Copy:
    """Keep the store as it is before a migration touches it. Raises as `make` does."""
    copy = _make(path, path.with_name(f"{path.name}.before-{revision}"))
    _keep_newest(path, "before")
    return copy


def set_aside(path: Path) -> None:
    """A new store begins at `path`: the copy of the one before it must never replace it."""
    copy = last(path)
    if copy is not None:
        copy.path.replace(path.with_name(f"{path.name}.before-{_stamp(copy.taken_at)}"))
        _keep_newest(path, "before")


def restore(path: Path, copy: Copy, why: str) -> Recovered:
    """Put `copy` in the place of the damaged store, which is kept under another name. Raises OSError."""
    written_at = max(_written_at(file) for file in _files(path))
    moved_to = path.with_name(f"{path.name}.damaged-{_stamp(written_at)}")
    fresh = path.with_name(f"{path.name}.restoring")
    shutil.copyfile(copy.path, fresh)
    fresh.chmod(0o600)
    _sync(fresh)
    for file in _files(path):
        file.replace(moved_to.with_name(file.name.replace(path.name, moved_to.name, 1)))
    fresh.replace(path)
    _sync(path.parent)
    _keep_newest(path, "damaged")
    return Recovered(why=why, copied_at=copy.taken_at, written_at=written_at, moved_to=moved_to)


def damage(path: Path, *, deeply: bool = False) -> str | None:
    """What is wrong with the file at `path`; None when SQLite reads all of it.

    `deeply` compares indexes with their tables and looks for rows without a parent as well.
    Raises StoreError when it cannot be read for another reason.
    """
    try:
        with closing(raw_connection(uri(path, "ro"))) as connection:
            (verdict,) = connection.execute(
                f"PRAGMA {'integrity' if deeply else 'quick'}_check(1)"
            ).fetchone()
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone() if deeply else None
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return str(error)
        raise StoreError(f"{path} could not be read: {error}") from error
    if orphan is not None:
        return f"row {orphan[1]} of {orphan[0]} lacks its parent in {orphan[2]}"
    return None if verdict == "ok" else str(verdict).replace("\n", " ")


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite says that what it read is not what was written."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE


def _make(path: Path, to: Path) -> Copy:
    fresh = to.with_name(f"{to.name}.new")
    try:
        _enough_space(path)
        _write_copy(path, fresh)
        fresh.replace(to)
        _sync(to.parent)
    except sqlite3.Error as error:
        kind = DamagedStoreError if is_damage(error) else StoreError
        raise kind(f"the store could not be copied: {error}") from error
    except OSError as error:
        raise StoreError(f"the store could not be copied: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    copy = _described(to)
    if copy is None:
        raise StoreError("the store could not be copied: the copy has vanished")
    return copy


def _enough_space(path: Path) -> None:
    """A copy must not be what fills the disk of the store."""
    needed_bytes = 2 * size_bytes(path)
    free_bytes = shutil.disk_usage(path.parent).free
    if free_bytes < needed_bytes:
        raise StoreError(
            f"the store could not be copied: it takes {needed_bytes} bytes of space and {free_bytes} are free"
        )


def _write_copy(path: Path, fresh: Path) -> None:
    """VACUUM INTO reads every row, so that a damaged page fails it and is not copied along."""
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(raw_connection(uri(path, "ro"))) as connection:
        connection.execute("VACUUM INTO ?", (str(fresh),))
    found = damage(fresh)
    if found is not None:
        raise DamagedStoreError(f"the copy of the store is damaged: {found}")
    _sync(fresh)


def _described(path: Path) -> Copy | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Copy(path, datetime.fromtimestamp(status.st_mtime, UTC), status.st_size)


def _files(path: Path) -> Iterator[Path]:
    return (file for file in (path, *_companions(path)) if file.exists())


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _COMPANIONS]


def _written_at(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _keep_newest(path: Path, kind: str) -> None:
    """Of the files that were set aside, those who need one want the newest."""
    kept = [each for each in path.parent.glob(f"{path.name}.{kind}-*") if not each.name.endswith(_COMPANIONS)]
    kept.sort(key=lambda each: (each.stat().st_mtime, each.name), reverse=True)
    for old in kept[KEPT:]:
        for file in (old, *_companions(old)):
            file.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems have no such call for directories
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
