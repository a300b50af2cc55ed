"""One reading of both clocks."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """Now: `utc` to show and store, `mono_s` to measure with.

    Durations within one process are differences of `mono_s`; the wall clock may step by an hour either way.
    """

    utc: datetime
    mono_s: float
