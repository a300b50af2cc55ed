"""From hot and calm buckets to a shift that opens, gets surer and is over: the same for every series."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.detection.state import Array, Fields, State

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

WINDOW = 7  # buckets whose starts are kept: longer than the usual batch of half an hour
APART_S = 3600.0
CALM = 3  # of the last four, and the last one: it is over

LAST = 4  # buckets that are remembered as hot or calm

_LAST_FOUR = (1 << LAST) - 1
_BITS = np.array([number.bit_count() for number in range(1 << LAST)], np.int8)

# How a shift was found, in the order of sureness.
CUSUM, MEAN, BUCKETS, FAST = 1, 2, 3, 4


def clock(name: str, kept: int = WINDOW) -> Fields:
    """When the last buckets of some series began, and the last one ended."""
    return {f"{name}.starts": ("f8", (kept,), np.nan), f"{name}.last_s": ("f8", (), np.nan)}


def fields(name: str) -> Fields:
    return {
        f"{name}.hot": ("u1", (), 0),
        f"{name}.calm": ("u1", (), 0),
        f"{name}.found": ("u1", (), 0),  # how; 0 while no shift is open
        f"{name}.open_s": ("f8", (), np.nan),
        f"{name}.suspect_s": ("f8", (), np.nan),
        f"{name}.size": ("f4", (), 0.0),  # residual when it opened
        f"{name}.level": ("f4", (), 0.0),  # residual now, smoothed
    }


@dataclass(frozen=True, slots=True)
class Steps:
    """What happened to the shifts of a series, by row."""

    opened: Rows
    recovered: Rows
    passed: Rows
    passed_since_s: Floats


_NONE = np.zeros(0, np.int64)
NO_STEPS = Steps(_NONE, _NONE, _NONE, np.zeros(0))


def begin(
    state: State, clock: str, names: Sequence[str], rows: Rows, began_s: Floats, ended_s: Floats
) -> None:
    """Buckets of the series `names` closed. Those an hour after the one before are not in a row with it."""
    starts, last_s = state[f"{clock}.starts"], state[f"{clock}.last_s"]
    apart = rows[began_s - last_s[rows] > APART_S]
    for name in names:
        state[f"{name}.hot"][apart] = 0
        state[f"{name}.calm"][apart] = 0
    starts[apart] = np.nan
    starts[rows, :-1] = starts[rows, 1:]
    starts[rows, -1] = began_s
    last_s[rows] = ended_s


def count(state: State, name: str, rows: Rows, hot: Flags, calm: Flags) -> None:
    for which, flags in (("hot", hot), ("calm", calm)):
        column = state[f"{name}.{which}"]
        column[rows] = ((column[rows] << 1) | flags) & _LAST_FOUR


def hot_enough(state: State, name: str, rows: Rows, need: int, of: int) -> Flags:
    enough: Flags = _BITS[state[f"{name}.hot"][rows] & ((1 << of) - 1)] >= need
    return enough


def settle(
    state: State, name: str, rows: Rows, found: Array, since_s: Floats, size: Floats, *, began_s: Floats
) -> Steps:
    """`found`: by which test a shift of the row is seen now, 0 by none; `since_s` and `size` of that shift."""
    was, opens, suspect = state[f"{name}.found"], state[f"{name}.open_s"], state[f"{name}.suspect_s"]
    before = was[rows]
    surer = found > before
    fresh = rows[surer & (before == 0)]
    was[rows[surer]] = found[surer]
    opens[fresh] = since_s[surer & (before == 0)]
    state[f"{name}.size"][rows[surer]] = size[surer]
    hot, calm = state[f"{name}.hot"][rows], state[f"{name}.calm"][rows]
    over = rows[(was[rows] > 0) & ~surer & (_BITS[calm] >= CALM) & (calm & 1 == 1)]
    idle = was[rows] == 0
    begun = idle & (hot & 1 == 1) & np.isnan(suspect[rows])
    suspect[rows[begun]] = began_s[begun]
    suspect[rows[surer]] = np.nan
    passed = rows[idle & (hot == 0) & ~np.isnan(suspect[rows])]
    passed_since_s = suspect[passed].copy()
    suspect[passed] = np.nan
    return Steps(
        rows[surer & ((before == 0) | ((before == CUSUM) & (found > CUSUM)))], over, passed, passed_since_s
    )


def close(state: State, name: str, rows: Rows) -> None:
    """Forget the shifts of these rows."""
    for what in ("hot", "calm", "found", "size", "level"):
        state[f"{name}.{what}"][rows] = 0
    for what in ("open_s", "suspect_s"):
        state[f"{name}.{what}"][rows] = np.nan


def first_hot_s(state: State, clock: str, name: str, rows: Rows, of: int) -> Floats:
    """The start of the oldest hot bucket of the last `of`."""
    hot = state[f"{name}.hot"][rows]
    starts = state[f"{clock}.starts"][rows]
    since = starts[:, -1].copy()
    for back in range(1, of):
        at = (hot >> back) & 1 == 1
        since[at] = starts[at, -1 - back]
    return since
