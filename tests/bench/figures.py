"""A promise with its figure, and the machine that it was measured on."""

import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Two-sided 95 % points of Student's t by degrees of freedom; more than 10 are taken for 10, on the safe side.
_T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)


@dataclass(frozen=True, slots=True)
class Figure:
    """`at_most` None: printed and not held."""

    what: str
    measured: float
    at_most: float | None = None
    unit: str = ""

    @property
    def holds(self) -> bool:
        return self.at_most is None or self.measured <= self.at_most

    def __str__(self) -> str:
        promise = "" if self.at_most is None else f"<= {self.at_most:g} {self.unit}"
        verdict = "" if self.at_most is None else ("yes" if self.holds else "NO")
        return (
            f"| {self.what:<62} | {promise:<14} | {f'{self.measured:.2f} {self.unit}':>14} | {verdict:<5} |"
        )


def hold(figures: Sequence[Figure]) -> int:
    """Print the table; the exit code: 1 when a promise does not hold."""
    print(f"\n| {'promise':<62} | {'hold':<14} | {'figure':>14} | holds |")
    print(f"|{'-' * 64}|{'-' * 16}|{'-' * 16}|-------|")
    print(*figures, sep="\n", flush=True)
    return 0 if all(figure.holds for figure in figures) else 1


def machine() -> str:
    """As much as the figures depend on: cores, system, Python, and what else ran."""
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    return f"{cores} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def mean_with_margin(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % confidence interval."""
    spread = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), _T_95[min(len(values) - 1, len(_T_95)) - 1] * spread
