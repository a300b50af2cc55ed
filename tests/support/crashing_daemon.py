"""`pgvigil run` that kills itself: `python -m tests.support.crashing_daemon WHERE WHEN NTH run -c FILE`.

WHERE names a method ("pgvigil.store.incidents:Incidents.commit"), WHEN is before or after its NTH call. The
hooks live here: the daemon knows nothing of them.
"""

import functools
import importlib
import itertools
import os
import signal
import sys
from typing import Any


def _arm(where: str, when: str, nth: int) -> None:
    module, _, path = where.partition(":")
    owner_name, _, method = path.partition(".")
    owner = getattr(importlib.import_module(module), owner_name)
    original = getattr(owner, method)
    calls = itertools.count(1)

    @functools.wraps(original)
    def armed(*arguments: Any, **named: Any) -> Any:
        now = next(calls) == nth
        if now and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, armed)


if __name__ == "__main__":
    from daemon.cli import main

    _arm(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.exit(main(sys.argv[4:]))
