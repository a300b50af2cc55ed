"""The detectors that are written first: they say what ours is measured against. All on one minute's mean time."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Minutes = NDArray[np.float64]
Flags = NDArray[np.bool_]

_QUIET = 60  # minutes without an alarm end an episode


def twice_the_median(means: Minutes) -> Flags:
    """Above twice the median of the hour before."""
    return _after(60, means[60:] > 2 * np.nanmedian(sliding_window_view(means, 60)[:-1], axis=1))


def z_score(means: Minutes) -> Flags:
    """More than three standard deviations above the mean of the two hours before."""
    windows = sliding_window_view(means, 120)[:-1]
    return _after(120, means[120:] > np.nanmean(windows, axis=1) + 3 * np.nanstd(windows, axis=1))


def median_deviation(means: Minutes) -> Flags:
    """The logarithm is 3.5 scaled median deviations above the median of the day before; both found every half hour."""
    logs = np.log(means)
    alarms = np.zeros(len(logs), np.bool_)
    for at in range(1440, len(logs), 30):
        middle = np.nanmedian(logs[at - 1440 : at])
        scale = 1.4826 * np.nanmedian(np.abs(logs[at - 1440 : at] - middle))
        alarms[at : at + 30] = logs[at : at + 30] > middle + 3.5 * scale
    return alarms


def averages(means: Minutes) -> Flags:
    """Of hours: a fast exponential average (20) is a fifth above a slow one (40)."""
    hours = np.nanmean(means[: len(means) // 60 * 60].reshape(-1, 60), axis=1)
    fast = slow = hours[0]
    alarms = np.zeros(len(means), np.bool_)
    for number, hour in enumerate(np.where(np.isnan(hours), np.nanmean(hours), hours)):
        fast += 2 / 21 * (hour - fast)
        slow += 2 / 41 * (hour - slow)
        alarms[(number + 1) * 60 : (number + 2) * 60] = number >= 40 and fast > 1.2 * slow
    return alarms


NAIVE = {
    "a minute > 2 x median of an hour": twice_the_median,
    "a minute's z > 3, two hours": z_score,
    "a minute's MAD > 3.5, a day": median_deviation,
    "EMA 20/40 of hours > 20 %": averages,
}


def episodes(alarms: Flags) -> list[int]:
    """The minutes at which they begin."""
    found: list[int] = []
    last = -_QUIET
    for minute in np.flatnonzero(alarms).tolist():
        if minute - last >= _QUIET:
            found.append(minute)
        last = minute
    return found


def _after(minutes: int, alarms: Flags) -> Flags:
    return np.concatenate((np.zeros(minutes, np.bool_), alarms))
