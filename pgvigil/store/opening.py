"""Brings a store to this program's revision, or says why not."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from pgvigil.problems import Problem, SetupError
from pgvigil.store import copies, location, recovery
from pgvigil.store.database import raw_connection, reading_uri, uri
from pgvigil.store.errors import StoreError
from pgvigil.store.schema import MIGRATIONS, REVISION

MIGRATION_DEADLINE_S = 600.0
_HEADING = "*** in database main ***"  # of what quick_check finds
_OUT_OF_SPACE_BYTES = 256 * 1024


def prepare(path: Path) -> recovery.Recovered | None:
    """Make `path` a store of this program's revision; raises SetupError. The caller holds the lock.

    A damaged store is replaced by its last good copy. Returns what that cost, now or earlier, for as long as the
    damaged file is kept.
    """
    _end_recovery(path)
    if not path.exists():
        _begin(path)
    _touch(path)
    revision = _sound_revision(path)
    if revision != REVISION:
        _upgrade(path, revision)
    return recovery.last(path)


def _end_recovery(path: Path) -> None:
    try:
        recovery.resume(path)
    except OSError as error:
        raise location.unwritable(path, error) from error


def _begin(path: Path) -> None:
    """A new store: the copy of the one before it, which somebody moved away, must never replace it."""
    try:
        copies.set_aside(path)
    except OSError as error:
        raise location.unwritable(path, error) from error


def _sound_revision(path: Path) -> str | None:
    """The revision of the store, after a recovery where that was needed and possible; None when it is new."""
    try:
        return _begun_revision(path)
    except DamagedError as error:
        _recover(path, error)
        return _revision(path, uri(path, "rw"), check=True)


def _begun_revision(path: Path) -> str | None:
    """The revision of the store as it is. One that was copied was not empty."""
    revision = _revision(path, uri(path, "rw"), check=True)
    if revision is None and copies.last(path) is not None:
        raise DamagedError(path, "it is empty")
    return revision


def _recover(path: Path, error: "DamagedError") -> None:
    """Raises `error` again when there is no copy, or none that can be read."""
    copy = copies.last(path)
    if copy is None or not _good(copy):
        raise error
    try:
        recovery.restore(path, copy, error.why)
    except OSError as cause:
        raise location.unwritable(path, cause) from error


def _good(copy: copies.Copy) -> bool:
    try:
        return _revision(copy.path, uri(copy.path, "ro"), check=True) is not None
    except SetupError:
        return False


def _upgrade(path: Path, revision: str | None) -> None:
    if revision is not None:
        try:
            copies.make_before_upgrade(path, revision)
        except StoreError as error:
            raise SetupError(_not_migrated(path, str(error))) from error
    _migrate(path)


def readable(path: Path) -> str:
    """What SQLite opens to read the store at `path`; raises SetupError when it cannot be read as it is."""
    location.readable(path)
    where = reading_uri(path)
    revision = _revision(path, where, check=False)
    if revision != REVISION:
        raise location.missing(path, "is empty" if revision is None else "was written by an older pgvigil")
    return where


def _touch(path: Path) -> None:
    """Create the file with our own permissions (SQLite gives its WAL the same), or see that it is writable."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise location.unwritable(path, error) from error


def _revision(path: Path, where: str, *, check: bool) -> str | None:
    """The revision of the store, None when it is empty; raises SetupError when it is not one of ours."""
    try:
        with closing(raw_connection(where)) as connection:
            return _read_revision(path, connection, check=check)
    except sqlite3.Error as error:
        raise explain(path, error) from error


def _read_revision(path: Path, connection: sqlite3.Connection, *, check: bool) -> str | None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if not {"alembic_version", "incident"} <= tables:
        raise SetupError(_corrupt(path, "it is a database of another program"))
    if check:  # 1.3 ms a megabyte
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedError(path, str(verdict).removeprefix(_HEADING).strip())
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return _known(path, str(row[0]) if row else "none")


def _known(path: Path, revision: str) -> str:
    known = {file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    if revision not in known:
        raise SetupError(
            Problem(
                slug="store-newer",
                sentence=f"The store {path} was written by a newer pgvigil (revision {revision[:20]!r}).",
                fix="Run that version again, or give this one a store of its own: [daemon] store.",
            )
        )
    return revision


def explain(path: Path, error: sqlite3.Error, code: int | None = None) -> SetupError:
    """The SetupError for what SQLite said about `path`."""
    code = getattr(error, "sqlite_errorcode", code) or 0
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or (
        primary == sqlite3.SQLITE_IOERR and shutil.disk_usage(path.parent).free < _OUT_OF_SPACE_BYTES
    ):
        return location.disk_full(path)
    if copies.is_damage(error):
        return DamagedError(path, str(error))
    return location.unwritable(path, OSError(str(error)))


class DamagedError(SetupError):
    """What the file holds is not what was written. A good copy may take its place."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(_corrupt(path, why))
        self.why = why


def _corrupt(path: Path, why: str) -> Problem:
    return Problem(
        slug="store-corrupt",
        sentence=f"The file {path} is not a usable store: {why}.",
        fix="Move it away, with the files of the same name that end in -wal and -shm, or name another file.",
    )


def _migrate(path: Path) -> None:
    """In a child process: alembic costs 120 ms and memory that a daemon would keep for nothing."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", "pgvigil.store.migrate", str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            timeout=MIGRATION_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(_not_migrated(path, str(error))) from error
    if done.returncode == 0:
        return
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise SetupError(_not_migrated(path, last)) from None
    raise explain(path, sqlite3.OperationalError(said["message"]), said["code"])


def _not_migrated(path: Path, why: str) -> Problem:
    return Problem(
        slug="store-migration",
        sentence=f"The store {path} could not be brought to revision {REVISION}: {why}.",
        fix="Report this, with the sentence above; nothing was changed in the store.",
    )
