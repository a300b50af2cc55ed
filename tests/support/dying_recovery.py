"""`python -m tests.support.dying_recovery FOLDER`: opens the damaged store FOLDER/pgvigil.db and is killed in it, at the
first thing that it does to the disk; then with a store as it was at the second, and so on until it lives.

Prints one JSON object a round: what the next opening of what was left found.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from pgvigil.problems import SetupError
from pgvigil.store import opening

_TOUCHES_THE_DISK = frozenset(
    {"open", "os.rename", "os.remove", "os.truncate", "os.chmod", "os.chown", "shutil.copyfile"}
)


def _die_at(step: int) -> None:
    left = step

    def hook(event: str, _arguments: Any) -> None:
        nonlocal left
        if event in _TOUCHES_THE_DISK:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _round(folder: Path, step: int) -> bool:
    """Whether it was killed."""
    here = folder.with_name(f"{folder.name}-{step}")
    shutil.copytree(folder, here)
    child = os.fork()
    if child == 0:
        _die_at(step)
        opening.prepare(here / "pgvigil.db")
        os._exit(0)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    print(json.dumps({"step": step, "killed": killed} | _found(here / "pgvigil.db")))
    shutil.rmtree(here)
    return killed


def _found(path: Path) -> dict[str, Any]:
    try:
        recovered = opening.prepare(path)
    except SetupError as error:
        return {"error": str(error)}
    with closing(sqlite3.connect(path)) as plain:
        remembered = plain.execute("SELECT key FROM state WHERE key = 'before'").fetchall() != []
    return {"remembered": remembered, "told": recovered is not None}


if __name__ == "__main__":
    step = 1
    while _round(Path(sys.argv[1]), step):
        step += 1
