"""What a series usually is at this time of day, and how much it usually strays.

Of each half hour of the last seven days (of blocks, which know no hours: each hour) the mean of its buckets' logarithms
is kept, in a byte. The baseline is the median of the same time of day, weighted n / (n + 4) by its n days, and for the
rest the median of all. A cell is used after two hours, and never while a shift of its series is open: what a fault did
is no baseline. What ended within six hours was a batch as likely as a fault and is used then, one day of seven.

Times of day are those of UTC. Where a job moves by an hour because its clock does, it is still met: a value is not called
high when it was as high within an hour of now yesterday or a week ago, high enough then to have stood out too.
"""

import numpy as np
from numpy.typing import NDArray

from queries.detection.state import Array, Fields, State

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

DAYS = 7
DELAY_S = 7200.0
BATCH_S = 6 * 3600.0
LEAST_SCALE = 0.08
LEAST_CELLS_S = 7200.0  # of cells in use before anything is judged

_DAY_S = 86_400.0
_STEP = 0.03  # of a byte, in logarithm: 127 of them are a factor of 45
_NONE = -128
_SHRINK = 4
_YOUNG = (1.5, 1.25)
_MAD_TO_SD = 1.4826  # of a normal distribution
_WEEKS = 3  # cells of a week ago that are kept when theirs are written anew


def fields(name: str, a_day: int) -> Fields:
    return {
        f"{name}.cells": ("i1", (DAYS * a_day,), _NONE),
        f"{name}.centre": ("f4", (), np.nan),  # what the byte 0 means
        f"{name}.week": ("i1", (_WEEKS,), _NONE),  # a week before the cells up to now
        f"{name}.sum": ("f4", (), 0.0),  # of the current cell
        f"{name}.count": ("i2", (), 0),
        f"{name}.frozen": ("?", (), False),
        f"{name}.expected": ("f4", (), np.nan),
        f"{name}.scale": ("f4", (), 1.0),
        f"{name}.cell_scale": ("f4", (), 1.0),
        f"{name}.recurring": ("f4", (), -np.inf),
        f"{name}.in_use": ("i2", (), 0),
        f"{name}.stray": ("f4", (), LEAST_SCALE / _MAD_TO_SD),  # median of |residual| of buckets
        f"{name}.strays": ("i2", (), 0),
    }


class Baseline:
    """Of one series of all statements; what it knows is in the state."""

    def __init__(self, name: str, a_day: int) -> None:
        self.name = name
        self._a_day = a_day
        self._cell_s = _DAY_S / a_day
        self._stale = True

    def __call__(self, state: State, what: str) -> Array:
        return state[f"{self.name}.{what}"]

    def stale(self) -> None:
        """Rows or shifts changed: what is expected must be found anew."""
        self._stale = True

    def advance(self, state: State, now_s: float) -> None:
        """To the cell of `now_s`; cells that were passed over hold nothing."""
        cell = int(now_s // self._cell_s)
        before = state.clock.get(self.name, cell - 1)
        cells, week, frozen = self(state, "cells"), self(state, "week"), self(state, "frozen")
        for number in range(max(before + 1, cell - cells.shape[1] + 1), cell + 1):
            at = number % cells.shape[1]
            week[:, :-1] = week[:, 1:]
            week[:, -1] = cells[:, at]
            cells[~frozen, at] = _NONE
        if cell > before:
            self(state, "sum")[:] = 0.0
            self(state, "count")[:] = 0
            self._stale = True
        # A step back by a day or more: the clock was wrong before, and waiting for that time would take for ever.
        state.clock[self.name] = cell if before - cell > self._a_day else max(before, cell)

    def add(self, state: State, rows: Rows, values: Floats) -> None:
        """Values of buckets that closed now."""
        rows, values = rows[~self(state, "frozen")[rows]], values[~self(state, "frozen")[rows]]
        centre = self(state, "centre")
        fresh = np.isnan(centre[rows])
        centre[rows[fresh]] = values[fresh]
        total, count = self(state, "sum"), self(state, "count")
        total[rows] += values
        count[rows] += 1
        cells = self(state, "cells")
        means = total[rows] / count[rows]
        cells[rows, state.clock[self.name] % cells.shape[1]] = _byte(means - centre[rows])

    def stray(self, state: State, rows: Rows, residuals: Floats) -> None:
        """Let the median of the buckets' distances follow, a small step a bucket."""
        size, count = self(state, "stray"), self(state, "strays")
        step = np.maximum(0.02, 0.5 / (1 + count[rows]))
        size[rows] = np.clip(size[rows] * np.exp(step * np.sign(np.abs(residuals) - size[rows])), 0.01, 2.0)
        count[rows] = np.minimum(count[rows] + 1, 1000)

    def hold(self, state: State, rows: Rows, since_s: Floats) -> None:
        """A shift has been open for longer than a batch takes: its cells are forgotten, nothing is added until `release`."""
        cells = self(state, "cells")
        now = state.clock[self.name]
        ages = (now - np.arange(cells.shape[1])) % cells.shape[1]
        first = np.floor_divide(since_s, self._cell_s)
        mine = ages[None, :] <= (now - first)[:, None]
        cells[rows] = np.where(mine, _NONE, cells[rows])
        self(state, "frozen")[rows] = True

    def release(self, state: State, rows: Rows) -> None:
        self(state, "frozen")[rows] = False
        self._stale = True

    def basis(self, state: State, row: int) -> tuple[float, float]:
        """Days from the oldest cell to now, and the share of the cells between that holds a value."""
        cells = self(state, "cells")[row]
        filled = np.flatnonzero(cells != _NONE)
        if not len(filled):
            return 0.0, 0.0
        oldest = int(((state.clock[self.name] - filled) % len(cells)).max()) + 1
        return oldest / self._a_day, len(filled) / oldest

    def refresh(self, state: State, open_since_s: Floats) -> None:
        """Find what is expected now, if the time of day or anything else changed."""
        if not self._stale:
            return
        self._stale = False
        if not len(state):
            return
        values = self._in_use(state, open_since_s)
        expected, residuals = self._blended(values)
        at = state.clock[self.name] % self._a_day
        self(state, "in_use")[:] = np.count_nonzero(~np.isnan(values), axis=1)
        self(state, "expected")[:] = self(state, "centre") + expected[:, at]
        scale = _MAD_TO_SD * _median(np.abs(residuals))
        scale = np.where(np.isnan(scale), 1.0, scale)
        self(state, "cell_scale")[:] = np.maximum(LEAST_SCALE, scale)
        self(state, "scale")[:] = np.maximum(self(state, "cell_scale"), _MAD_TO_SD * self(state, "stray"))
        self(state, "recurring")[:] = self._recurring(state)

    def ready(self, state: State, rows: Rows) -> NDArray[np.bool_]:
        enough: NDArray[np.bool_] = self(state, "in_use")[rows] >= LEAST_CELLS_S / self._cell_s
        return enough

    def young(self, state: State, rows: Rows) -> Floats:
        """By how much thresholds are widened while a baseline does not have a whole day in use, which has all its hours,
        and while it does not have four, which have a day of work and a day of rest whatever the first one was.
        """
        days = self(state, "in_use")[rows] / self._a_day
        return np.where(days < 1, _YOUNG[0], np.where(days < 4, _YOUNG[1], 1.0))

    def _in_use(self, state: State, open_since_s: Floats) -> NDArray[np.float32]:
        """The cells' distances from the centre; NaN where one is empty or must not be used (yet)."""
        cells = self(state, "cells")
        self._centred(state)
        now = state.clock[self.name]
        ages = (now - np.arange(cells.shape[1])) % cells.shape[1]
        shifted = np.where(np.isnan(open_since_s), now + 1, open_since_s // self._cell_s)
        least = np.maximum(DELAY_S / self._cell_s, now - shifted + 1)
        hidden = (ages[None, :] < least[:, None]) & ~self(state, "frozen")[:, None]
        return np.where(hidden | (cells == _NONE), np.nan, cells * np.float32(_STEP)).astype(np.float32)

    def _centred(self, state: State) -> None:
        """Keep the middle of each row near the byte 0, where there is room on both sides."""
        cells, centre = self(state, "cells"), self(state, "centre")
        middle = _median(np.where(cells == _NONE, np.nan, cells).astype(np.float32))
        rows = np.flatnonzero(np.abs(middle) > 60)
        move = np.round(middle[rows])
        moved = np.clip(cells[rows] - move[:, None], -127, 127).astype(np.int8)
        cells[rows] = np.where(cells[rows] == _NONE, _NONE, moved)
        centre[rows] += (move * _STEP).astype(np.float32)

    def _blended(self, values: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """By time of day what is expected, and the residuals of all cells from it."""
        days = values.reshape(len(values), DAYS, self._a_day)
        same_time = _median(np.moveaxis(days, 1, 2))
        counted = np.count_nonzero(~np.isnan(days), axis=1)
        weight = counted / (counted + _SHRINK)
        overall = _median(values)[:, None]
        expected = np.where(counted > 0, weight * np.nan_to_num(same_time) + (1 - weight) * overall, overall)
        residuals = np.asarray(days - expected[:, None, :], np.float64).reshape(values.shape)
        return expected, residuals

    def _recurring(self, state: State) -> Floats:
        """The most within an hour of now yesterday and a week ago."""
        cells = self(state, "cells")
        around = max(1, int(3600 // self._cell_s))
        near = np.arange(-around, around + 1)
        now = state.clock[self.name]
        yesterday = cells[:, (now - self._a_day + near) % cells.shape[1]]
        ahead = cells[:, (now + near[near > 0]) % cells.shape[1]]
        most = np.concatenate((yesterday, ahead, self(state, "week")), axis=1).max(axis=1)
        return np.where(most == _NONE, -np.inf, self(state, "centre") + most * np.float32(_STEP))


def _byte(distance: Floats) -> NDArray[np.int8]:
    return np.clip(np.round(distance / _STEP), -127, 127).astype(np.int8)


def _median(values: Array) -> Floats:
    """Of the last axis, without what is NaN; NaN where nothing is left. (`nanmedian` is many times slower.)"""
    ordered = np.sort(values, axis=-1)  # NaN come last
    count = np.count_nonzero(~np.isnan(values), axis=-1)
    low = np.take_along_axis(ordered, np.maximum(0, (count - 1) // 2)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(
        ordered, np.maximum(0, count // 2).clip(max=values.shape[-1] - 1)[..., None], axis=-1
    )
    middle: Floats = (low + high[..., 0]) / 2
    return middle
