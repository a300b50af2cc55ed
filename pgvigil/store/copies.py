"""A good copy of the store beside it: made while the store is in use, and checked before it counts.

`pgvigil.db-copy` is the last good copy. An upgrade leaves `pgvigil.db.before-REVISION`, a recovery from damage
`pgvigil.db.damaged-WHEN`; of both the newest two are kept.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgvigil.store import files
from pgvigil.store.database import raw_connection, reading_uri, uri
from pgvigil.store.errors import StoreError

_OURS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'incident'"
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DamagedStoreError(StoreError):
    """The file is not what it was written as."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the store as it was at `taken_at`."""

    path: Path
    taken_at: datetime
    size_bytes: int


def size_bytes(path: Path) -> int:
    """The store and the log of its latest writes. Raises OSError."""
    return sum(file.stat().st_size for file in files.of(path))


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
    files.keep_newest(path, "before")
    return copy


def set_aside(path: Path) -> None:
    """A new store begins at `path`: the copy of the one before it must never replace it."""
    copy = last(path)
    if copy is not None:
        copy.path.replace(path.with_name(f"{path.name}.before-{files.stamp(copy.taken_at)}"))
        files.keep_newest(path, "before")


def damage(path: Path, *, deeply: bool = False) -> str | None:
    """What is wrong with the file at `path`; None when SQLite reads all of it.

    `deeply` compares indexes with their tables and looks for rows without a parent as well, and that it is a store.
    Raises StoreError when it cannot be read for another reason.
    """
    try:
        with closing(raw_connection(reading_uri(path))) as connection:
            (verdict,) = connection.execute(
                f"PRAGMA {'integrity' if deeply else 'quick'}_check(1)"
            ).fetchone()
            ours = not deeply or connection.execute(_OURS).fetchone() is not None
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone() if deeply else None
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return str(error)
        raise StoreError(f"{path} could not be read: {error}") from error
    if not ours:
        return "it is empty, or a database of another program"
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
        files.sync(to.parent)
    except sqlite3.Error as error:
        kind = DamagedStoreError if is_damage(error) else StoreError
        raise kind(f"the store could not be copied: {error}") from error
    except OSError as error:
        raise StoreError(f"the store could not be copied: {error.strerror or error}") from error
    finally:
        files.discard(fresh)
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
    files.create(fresh, owner_of=path)
    with closing(raw_connection(uri(path, "ro"))) as connection:
        connection.execute("VACUUM INTO ?", (str(fresh),))
    found = damage(fresh)
    if found is not None:
        raise DamagedStoreError(f"the copy of the store is damaged: {found}")
    files.sync(fresh)


def _described(path: Path) -> Copy | None:
    try:
        status = path.stat()
    except OSError:  # there is none, or none that we may know of
        return None
    return Copy(path, datetime.fromtimestamp(status.st_mtime, UTC), status.st_size)
