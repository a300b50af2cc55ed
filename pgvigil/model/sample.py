"""Readings of one collector over a while, packed."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBlock:
    """`data` is what `pgvigil.columns` packs. `every_s` is about how far apart the readings are; from `coarse` ones some
    were left out because they are old. `id` is 0 until the store has given one.
    """

    id: int = 0
    target: str
    collector: str
    database: str | None
    first_at: datetime
    last_at: datetime
    readings: int
    every_s: float
    coarse: bool
    data: bytes
