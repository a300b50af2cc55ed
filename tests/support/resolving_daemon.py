"""`pgvigil run` with a resolver of its own: `python -m tests.support.resolving_daemon RESOLV_CONF run -c FILE`.

Only this process and its children see the changed /etc: they live in a mount namespace of their own.
"""

import ctypes
import os
import subprocess
import sys

_CLONE_NEWNS = 0x00020000


def _take_resolver(configuration: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    where = os.path.realpath("/etc/resolv.conf")
    subprocess.run(["mount", "--bind", configuration, where], check=True)


if __name__ == "__main__":
    _take_resolver(sys.argv[1])

    from daemon.cli import main

    sys.exit(main(sys.argv[2:]))
