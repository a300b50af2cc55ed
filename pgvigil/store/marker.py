"""A note beside the store: what was done since a moment is not in the file, because the disk took nothing.

Its space is taken beforehand and written over in place, which a full disk allows. A disk that takes nothing at all
takes no note either: each attempt has a thread of its own, and nobody waits long for it.
"""

import contextlib
import json
import os
import threading
from datetime import datetime
from pathlib import Path

from pgvigil.store import files

_BLOCK_BYTES = 4096
_SUFFIX = "-marker"


class Marker:
    """Written by the process that holds the store; `since` may be read by any."""

    def __init__(self, path: Path) -> None:
        self._path = marker_path(path)
        self._turn = threading.Lock()
        self._wanted: datetime | None = None

    def reserve(self) -> bool:
        """Take the space while there is some; False when there is none."""
        with contextlib.suppress(OSError):
            if self._path.exists() and self._path.stat().st_size >= _BLOCK_BYTES:
                return True
            _write(self._path, None)
            return True
        return False

    def put(self, since: datetime | None, within_s: float) -> bool:
        """Note since when; None when the file has everything again. Whether that was on the disk in time."""
        self._wanted = since
        done = threading.Event()
        threading.Thread(target=self._put, args=(done,), name="store-marker", daemon=True).start()
        return done.wait(within_s)

    def _put(self, done: threading.Event) -> None:
        """One at a time; what a disk held up says what is true when it comes through."""
        with self._turn, contextlib.suppress(OSError):
            _write(self._path, self._wanted)
            done.set()


def marker_path(path: Path) -> Path:
    return path.with_name(path.name + _SUFFIX)


def in_memory_since(path: Path) -> datetime | None:
    """Since when the file at `path` lacks what is done, or lacked it when its daemon ended; None when it has all."""
    try:
        found = json.loads(marker_path(path).read_bytes())["in_memory_since"]
        return None if found is None else datetime.fromisoformat(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note(path: Path, since: datetime) -> None:
    """The file at `path` lacks what was done since then, or since earlier if that was noted. Raises OSError."""
    earlier = in_memory_since(path)
    _write(marker_path(path), since if earlier is None else min(since, earlier))


def _write(path: Path, since: datetime | None) -> None:
    noted = {"in_memory_since": None if since is None else since.isoformat()}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        files.give(descriptor, path.with_name(path.name.removesuffix(_SUFFIX)))
        os.pwrite(descriptor, json.dumps(noted).encode().ljust(_BLOCK_BYTES), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
