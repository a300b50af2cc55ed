"""Where the store lies, and what it has lost."""

from collections.abc import Iterable
from pathlib import Path, PurePath

import psutil

from pgvigil.problems import Problem
from pgvigil.store import recovery
from pgvigil.units import format_duration

# As the kernels of Linux and macOS name them. FUSE file systems have a second name behind a point.
NETWORKED = frozenset(
    [
        "9p",
        "afp",
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.ceph",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.sshfs2",
        "fuse.vmhgfs-fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "macfuse_sshfs",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "prl_fs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "vmhgfs",
        "webdav",
    ]
)


def mounts() -> tuple[tuple[str, str], ...]:
    """Mount points with their types of file system, in the order in which they were mounted. Asks no server."""
    return tuple((each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True))


def file_system(path: PurePath, mounted: Iterable[tuple[str, str]]) -> str:
    """The type of the file system that `path` is on; "" where that cannot be told. A later mount hides an earlier."""
    holding = [(len(PurePath(point).parts), kind) for point, kind in mounted if path.is_relative_to(point)]
    deepest = max((depth for depth, _ in holding), default=0)
    return next((kind for depth, kind in reversed(holding) if depth == deepest), "")


def store_problems(path: Path) -> tuple[Problem, ...]:
    """What is wrong with a store at `path`, and with its place."""
    lost = recovery.last(path)
    found = (store_on_network(path, mounts()), None if lost is None else store_recovered(path, lost))
    return tuple(problem for problem in found if problem is not None)


def store_recovered(path: Path, lost: recovery.Recovered) -> Problem:
    lost_s = max(0.0, (lost.written_at - lost.copied_at).total_seconds())
    return Problem(
        slug="store-recovered",
        sentence=f"The store {path} was damaged ({lost.why}) and was replaced by its copy of"
        f" {lost.copied_at:%Y-%m-%d %H:%M UTC}: what was written in the {format_duration(float(round(lost_s)))} after"
        " it is lost; what happened then may be told a second time.",
        why="Incidents, messages and their numbers of that time are not remembered; the disk may damage more.",
        fix=f"Look after the disk. When you need the damaged file no more, delete it: rm {lost.moved_to}*. Then this"
        " line goes with the next start.",
    )


def store_on_network(path: Path, mounted: Iterable[tuple[str, str]]) -> Problem | None:
    kind = file_system(path, mounted)
    if kind.lower() not in NETWORKED:
        return None
    return Problem(
        slug="store-on-network",
        sentence=f"The store {path} is on a network file system ({kind}).",
        why="SQLite's locks and its write-ahead log need one machine's own file system: on a network one two daemons"
        " can write at once, a lost connection can damage the file, and a server that hangs stops every write.",
        fix='Move it to a local disk: store = "sqlite:////var/lib/pgvigil/pgvigil.db" in [daemon].',
    )
