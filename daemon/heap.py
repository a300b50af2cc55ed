"""The C library's memory."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h of the GNU C library


def share_one() -> bool:
    """Have all threads share one heap; False where the C library has no such choice (musl, macOS).

    glibc gives each of the first dozen threads a heap of its own. What one worker reads another one lets go a minute
    later, so each heap keeps holes that no other can use: 200 targets with 5,000 statements took 450 MB so, and
    take 300 MB in one heap. Python's own lock has the threads take turns anyway.
    """
    try:
        choose = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(choose(_M_ARENA_MAX, 1))
