"""The files beside the store: their names, their owner, and that they are on the disk when we say so."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

KEPT = 2  # files of each kind that a recovery or an upgrade leaves behind
_COMPANIONS = ("-wal", "-shm")
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})  # some file systems, of a directory


def of(path: Path) -> Iterator[Path]:
    """The file at `path` and the logs of it that there are; what makes the logs out comes first."""
    return (file for file in (path, *_companions(path)) if file.exists())


def written_at(path: Path) -> datetime:
    """When the file at `path` or its log was written last. Raises OSError, ValueError when there is none."""
    return max(datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in of(path))


def move(path: Path, to: Path) -> None:
    """Rename the file at `path` and its logs; what is not there any more was moved before."""
    for file in of(path):
        file.replace(to.with_name(file.name.replace(path.name, to.name, 1)))


def duplicate(path: Path, to: Path, *, owner_of: Path) -> None:
    """A private second file, on the disk when this returns. Raises OSError, and leaves nothing then."""
    try:
        create(to, owner_of=owner_of)
        shutil.copyfile(path, to)
        sync(to)
    except OSError:
        discard(to)
        raise


def create(path: Path, *, owner_of: Path) -> None:
    """An empty private file in the place of what was there. It belongs to whom `owner_of` belongs: what root
    makes here must not lock the daemon out.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        give(descriptor, owner_of)
    finally:
        os.close(descriptor)


def give(descriptor: int, owner_of: Path) -> None:
    """Only root can, and only root needs to. Nothing is written where nothing changes: the disk may hang."""
    if os.geteuid() == 0 and owner_of.exists():
        like, now = owner_of.stat(), os.fstat(descriptor)
        if (like.st_uid, like.st_gid) != (now.st_uid, now.st_gid):
            os.fchown(descriptor, like.st_uid, like.st_gid)


def discard(path: Path) -> None:
    """Away with it, if the disk allows."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Raises OSError when it is not on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def keep_newest(path: Path, kind: str) -> None:
    """Of the files that were set aside, those who need one want the newest."""
    kept = [each for each in path.parent.glob(f"{path.name}.{kind}-*") if not each.name.endswith(_COMPANIONS)]
    kept.sort(key=lambda each: (each.stat().st_mtime, each.name), reverse=True)
    for old in kept[KEPT:]:
        for file in (old, *_companions(old)):
            discard(file)


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _COMPANIONS]
