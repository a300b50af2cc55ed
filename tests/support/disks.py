"""A file system that is soon full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.reporting import not_run


@contextmanager
def small_disk(*, size_mb: int = 2) -> Iterator[Path]:
    """The root of a file system of that size, unmounted afterwards."""
    if os.geteuid() != 0:
        not_run("only root can mount a small file system")
    with TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", folder]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            not_run("mounting a small file system is not permitted here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the space that is left."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for block in (b"x" * 65536, b"x" * 4096, b"x"):
            try:
                while True:
                    file.write(block)
            except OSError:
                continue
    return ballast
