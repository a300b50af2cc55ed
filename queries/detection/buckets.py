"""Intervals of a statement merged until they can say something: at least 5 minutes and 30 calls.

The value of a bucket is the calls-weighted mean of its intervals' means without the tenth of the calls at either end:
a minute of a checkpoint or of a lock does not make a bucket. A bucket never spans a gap: what was collected before it
is judged if it has its calls, and is thrown away if not. Beside it runs a *sip*: a minute and 3 calls, for
what is so much slower that nobody should wait for buckets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.detection.state import Array, Fields, State
from queries.tracked import Intervals

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BUCKET_S = 300.0
BUCKET_CALLS = 30
SIP_S = 60.0
SIP_CALLS = 3
LONGEST_S = 1800.0  # without the calls by then there are too few for statistics: thrown away
EARLY = 0.95  # readings are not exactly a minute apart

_PARTS = 8  # means kept for trimming; when full, neighbours are merged
_TRIMMED = 0.1
_MIDDLE = 0.4
_SUMS = ("calls", "exec_ms", "shared_blocks", "rows", "temp_blocks")

FIELDS: Fields = {
    "parts": ("f4", (_PARTS, 3), 0.0),  # calls, ms, blocks
    "filled": ("i1", (), 0),
    "began_s": ("f8", (), np.nan),  # of the open bucket
    "told_s": ("f4", (), 0.0),
    "sums": ("f8", (len(_SUMS),), 0.0),
    "sip_began_s": ("f8", (), np.nan),
    "sip_told_s": ("f4", (), 0.0),
    "sip": ("f4", (3,), 0.0),
}


@dataclass(frozen=True, slots=True)
class Closed:
    """Buckets or sips that closed with this reading, one a row; `rows` says of which statement."""

    rows: NDArray[np.int64]
    began_s: Floats  # since the epoch
    ended_s: Floats
    told_s: Floats
    calls: Floats
    mean_ms: Floats
    middle_ms: Floats  # what most of its intervals were like
    blocks: Floats  # a call
    middle_blocks: Floats
    returned: Floats  # rows a call
    temp: Floats  # blocks in all

    def __len__(self) -> int:
        return len(self.rows)


_NOTHING = Closed(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(10)))


def take(state: State, intervals: Intervals) -> tuple[Closed, Closed]:
    """The buckets and the sips that closed."""
    until_s = intervals.until.timestamp()
    values = intervals.values
    told = ~np.isnan(values["calls"])
    broken = _close(state, ~told & (state["told_s"] > 0), until_s - intervals.elapsed_s)
    state["sip_began_s"][~told] = np.nan
    state["sip_told_s"][~told] = 0.0
    state["sip"][~told] = 0.0
    _add(state, intervals, told, until_s)
    enough = state["sums"][:, 0] >= BUCKET_CALLS
    full = enough & (state["told_s"] >= EARLY * BUCKET_S)
    closed = _close(state, full, until_s)
    _drop(state, state["told_s"] >= LONGEST_S)
    return _joined(broken, closed), _sips(state, until_s)


def _add(state: State, intervals: Intervals, told: Flags, until_s: float) -> None:
    values = intervals.values
    for began, length in (("began_s", "told_s"), ("sip_began_s", "sip_told_s")):
        fresh = told & np.isnan(state[began])
        state[began][fresh] = until_s - intervals.elapsed_s
        state[length][told] += intervals.elapsed_s
    added = np.stack([values[name] for name in _SUMS], axis=1)
    added[~told] = 0.0
    state["sums"][:] += added
    state["sip"][:] += added[:, :3]
    ran = np.flatnonzero(added[:, 0] > 0)
    _merge_neighbours(state, ran[state["filled"][ran] == _PARTS])
    state["parts"][ran, state["filled"][ran]] = added[ran, :3]
    state["filled"][ran] += 1


def _merge_neighbours(state: State, rows: NDArray[np.int64]) -> None:
    if len(rows):
        parts = state["parts"][rows]
        state["parts"][rows] = 0.0
        state["parts"][rows, : _PARTS // 2] = parts[:, ::2] + parts[:, 1::2]
        state["filled"][rows] = _PARTS // 2


def _close(state: State, these: Flags, ended_s: float) -> Closed:
    """Of `these` the buckets that have their calls and half their time; all of them begin anew."""
    if not these.any():
        return _NOTHING
    good = these & (state["sums"][:, 0] >= BUCKET_CALLS) & (state["told_s"] >= BUCKET_S / 2)
    rows = np.flatnonzero(good)
    parts, sums = state["parts"][rows], state["sums"][rows]
    mean_ms, middle_ms = trimmed_means(parts[..., 0], parts[..., 1])
    blocks, middle_blocks = trimmed_means(parts[..., 0], parts[..., 2])
    closed = Closed(
        rows=rows,
        began_s=state["began_s"][rows],
        ended_s=np.full(len(rows), ended_s),
        told_s=state["told_s"][rows].astype(np.float64),
        calls=sums[:, 0],
        mean_ms=mean_ms,
        middle_ms=middle_ms,
        blocks=blocks,
        middle_blocks=middle_blocks,
        returned=sums[:, 3] / np.maximum(sums[:, 0], 1),
        temp=sums[:, 4],
    )
    _drop(state, these)
    return closed


def _drop(state: State, these: Flags) -> None:
    for name in ("began_s", "told_s", "sums", "parts", "filled"):
        state[name][these] = FIELDS[name][2]


def _sips(state: State, until_s: float) -> Closed:
    rows = np.flatnonzero((state["sip_told_s"] >= EARLY * SIP_S) & (state["sip"][:, 0] >= SIP_CALLS))
    calls, ms, blocks = state["sip"][rows].astype(np.float64).T
    mean_ms, mean_blocks = ms / np.maximum(calls, 1), blocks / np.maximum(calls, 1)
    sips = Closed(
        rows=rows,
        began_s=state["sip_began_s"][rows],
        ended_s=np.full(len(rows), until_s),
        told_s=state["sip_told_s"][rows].astype(np.float64),
        calls=calls,
        mean_ms=mean_ms,
        middle_ms=mean_ms,
        blocks=mean_blocks,
        middle_blocks=mean_blocks,
        returned=np.zeros(len(rows)),
        temp=np.zeros(len(rows)),
    )
    for name in ("sip_began_s", "sip_told_s", "sip"):
        state[name][rows] = FIELDS[name][2]
    return sips


def _joined(one: Closed, two: Closed) -> Closed:
    """A bucket that a gap ended, and those that ended now: never of the same statement."""
    if not len(one):
        return two
    names = Closed.__dataclass_fields__
    return Closed(*(np.concatenate((getattr(one, name), getattr(two, name))) for name in names))


def trimmed_means(calls: Array, sums: Array) -> tuple[Floats, Floats]:
    """Of each row's means (sums / calls), weighted by calls: without a tenth of the calls at either end, and without
    four tenths.
    """
    weights = calls.astype(np.float64)
    means = sums / np.maximum(weights, 1e-12)
    order = np.argsort(means, axis=1)
    rows = np.arange(len(order))[:, None]
    weights, means = weights[rows, order], means[rows, order]
    upto = np.cumsum(weights, axis=1)
    total = upto[:, -1:]
    mean, middle = (
        _between(weights, means, upto, part * total, (1 - part) * total) for part in (_TRIMMED, _MIDDLE)
    )
    return mean, middle


def _between(weights: Floats, means: Floats, upto: Floats, low: Floats, high: Floats) -> Floats:
    kept = np.maximum(np.minimum(upto, high) - np.maximum(upto - weights, low), 0.0)
    mean: Floats = (kept * means).sum(axis=1) / np.maximum(kept.sum(axis=1), 1e-12)
    return mean
