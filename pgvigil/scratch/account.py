"""The operating-system user that runs a throw-away server: PostgreSQL refuses to run as root."""

import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pgvigil.scratch.errors import ScratchError

SHORT_TEMPORARY = Path("/tmp")  # noqa: S108 - always a parent for mkdtemp; its path is short enough for sockets
_PREFERRED = ("nobody", "postgres", "daemon")


@dataclass(frozen=True, slots=True)
class Account:
    """Runs programs as one user. `uid` None means as whoever we are."""

    uid: int | None = None
    gid: int | None = None

    @property
    def changes_user(self) -> bool:
        return self.uid is not None

    def run(
        self, arguments: Sequence[str], *, timeout_s: float, directory: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end with output captured; the exit code is not checked.

        Raises PermissionError when the user cannot reach the program.
        """
        return subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=directory or "/",
            env=clean_environment(),
            start_new_session=True,
            user=self.uid,
            group=self.gid,
            extra_groups=self._groups,
        )

    def start(self, arguments: Sequence[str], *, directory: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start in a session of its own, so that Ctrl-C in our terminal does not reach it before we do."""
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env=clean_environment(),
            start_new_session=True,
            user=self.uid,
            group=self.gid,
            extra_groups=self._groups,
        )

    def make_directory(self, prefix: str, parent: Path | None = None) -> Path:
        """A new directory, mode 700, owned by the user, on a path that the user can walk."""
        where = parent or self._temporary_parent()
        if not self.can_walk_to(where):
            raise ScratchError(
                f"{where} cannot be reached by user id {self.uid}, which has to run the server"
            )
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
        if self.uid is not None and self.gid is not None:
            os.chown(made, self.uid, self.gid)
        return made

    def can_walk_to(self, directory: Path) -> bool:
        """Whether the user may pass every folder down to `directory` (mode bits; access lists are not read)."""
        path = directory.resolve()
        return self.uid is None or all(self._may_enter(folder.stat()) for folder in (path, *path.parents))

    def _may_enter(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)

    def _temporary_parent(self) -> Path:
        for candidate in (Path(tempfile.gettempdir()), SHORT_TEMPORARY, Path("/var/tmp")):  # noqa: S108 - mkdtemp inside
            if candidate.is_dir() and self.can_walk_to(candidate):
                return candidate
        raise ScratchError(
            f"no temporary directory can be reached by user id {self.uid}; set TMPDIR to one that can"
        )

    @property
    def _groups(self) -> list[int] | None:
        return [] if self.changes_user else None


def server_account() -> Account:
    """Ourselves, or as root an unprivileged user that has a passwd entry (initdb looks its own name up)."""
    if os.geteuid() != 0:
        return Account()
    entries = {entry.pw_name: entry for entry in reversed(pwd.getpwall()) if entry.pw_uid != 0}
    for name in (*_PREFERRED, *entries):
        if name in entries:
            return Account(entries[name].pw_uid, entries[name].pw_gid)
    raise ScratchError("PostgreSQL does not run as root, and this machine has no other user; add one")


def clean_environment() -> Mapping[str, str]:
    """Ours without libpq's and the server's own variables, which would redirect it, and in plain English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
