"""Where the store is, and that it is ours alone."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from pgvigil.problems import Problem, SetupError
from pgvigil.store import files

_SQLITE = "sqlite:///"


def path_of(url: str) -> Path:
    """The file that a `sqlite:////absolute/path` names, its links resolved; raises SetupError."""
    scheme = url.partition("://")[0]
    name = url.removeprefix(_SQLITE)
    if scheme.startswith("postgres"):
        raise SetupError(
            _url_problem(
                "A store in PostgreSQL is not supported yet."
            )  # its URL may hold a password: not shown
        )
    if not url.startswith(_SQLITE) or not name or name == ":memory:" or "?" in name:
        raise SetupError(_url_problem(f"{scheme!r} store URLs must be sqlite:/// and the path of a file."))
    return Path(name).resolve()


def _url_problem(sentence: str) -> Problem:
    return Problem(
        slug="store-url",
        sentence=sentence,
        fix='Write an absolute path with four slashes: store = "sqlite:////var/lib/pgvigil/pgvigil.db".',
    )


def unwritable(path: Path, error: OSError) -> SetupError:
    """For a directory or file that this process may not write, or that does not exist."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    return SetupError(
        Problem(
            slug="store-unwritable",
            sentence=f"The store {path} cannot be written: {error.strerror or error}.",
            fix=f"Create the directory {path.parent} and give it to the user that runs pgvigil.",
        )
    )


def obstacles(path: Path) -> tuple[Problem, ...]:
    """What keeps this process from writing there, as far as can be told without writing."""
    place = path if path.exists() else path.parent
    missing = errno.EACCES if place.exists() else errno.ENOENT
    if os.access(place, os.R_OK | os.W_OK):
        return ()
    return unwritable(path, OSError(missing, os.strerror(missing))).problems


def disk_full(path: Path) -> SetupError:
    return SetupError(
        Problem(
            slug="store-disk-full",
            sentence=f"The store {path} cannot be written: the disk is full.",
            fix=f"Free some space on the file system of {path.parent}.",
        )
    )


def last_holder(path: Path) -> int | None:
    """The process that last took the store for itself; it may have ended since. Touches nothing."""
    try:
        signed = path.with_name(path.name + ".lock").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return int(signed) if signed.isdecimal() and len(signed) < 11 else None


def missing(path: Path, what: str) -> SetupError:
    """For whoever only wants to use a store that is there."""
    return SetupError(
        Problem(
            slug="store-missing",
            sentence=f"The store {path} {what}.",
            fix="Start the daemon once (pgvigil run): it creates and upgrades its store.",
        )
    )


def readable(path: Path) -> None:
    """Raises SetupError when there is no file at `path`, or none that this process may read."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        raise missing(path, "does not exist") from None
    except OSError as error:
        raise SetupError(
            Problem(
                slug="store-unreadable",
                sentence=f"The store {path} cannot be read: {error.strerror or error}.",
                fix="Run this as the user that runs pgvigil, or as root: sudo pgvigil ...",
            )
        ) from error


class Lock:
    """Held while this process may write the store. The kernel releases it however the process ends."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError when another process holds it."""
        try:
            fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(path, error) from error
        self._file = os.fdopen(fd, "r+b", buffering=0)
        with contextlib.suppress(OSError):
            files.give(fd, path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._file.read(20).decode(errors="replace")
            self._file.close()
            raise SetupError(_in_use(path, holder)) from None
        self._sign()

    def _sign(self) -> None:
        """Leave our process id for the message; the lock is what counts, so a full disk is no matter."""
        with contextlib.suppress(OSError):
            self._file.truncate(0)
            self._file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """The file stays: deleting it would let two processes lock two files of the same name."""
        self._file.close()


def _in_use(path: Path, holder: str) -> Problem:
    who = f" (process {holder})" if holder.isdecimal() else ""
    return Problem(
        slug="store-in-use",
        sentence=f"The store {path} is in use by another pgvigil{who}.",
        fix="Stop the other one, or give this one a store of its own: [daemon] store.",
    )
