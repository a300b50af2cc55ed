"""Values over time: what forecasts and rates are made of."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Point(NamedTuple):
    """A value at a time (aware, UTC)."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a series, of the thing that `key` names (a slot, a relation; "" where there is only one).

    Where `epoch` differs from the sample before, nothing is compared across: a counter was reset, or the thing under
    the same name is another one by now.
    """

    key: str
    value: float
    epoch: str = ""
