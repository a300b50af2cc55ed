"""Memory: the C library's, and how often Python looks for cycles in it."""

import ctypes
import gc

_M_ARENA_MAX = -8  # malloc.h of the GNU C library
_YOUNG = 10_000  # objects more than there were, before the young ones are looked through


def look_seldom() -> None:
    """Have cycles looked for less often than Python's 700 new objects ask for.

    A reading of statements alone makes many more, nearly all of them gone before the next one without any look, and
    each look at all there is takes 0.2 s with 200 targets, while nothing else runs: it was a tenth of all CPU.
    """
    gc.set_threshold(_YOUNG, 10, 10)


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
