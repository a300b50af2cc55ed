"""Clears up after a server that cannot do it itself."""

import shutil
from pathlib import Path

DATA = "data"  # below the server's own directory


def remove(directory: Path) -> None:
    """Remove a tree; what vanishes meanwhile is no error."""
    shutil.rmtree(directory, ignore_errors=True)


def clear(directory: Path) -> None:
    """Kill the server whose directory this is, if there is one; remove the directory and what the kernel keeps."""
    if not directory.is_dir():
        return
    from pgvigil.scratch import processes  # noqa: PLC0415 - psutil: 10 MB that an idle watcher never needs

    for process in processes.started_on(directory / DATA):
        processes.kill_family(process.pid)
    processes.release_shared_memory(directory / DATA)
    remove(directory)
