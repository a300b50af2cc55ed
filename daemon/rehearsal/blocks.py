"""Readings put into blocks, and taken out again."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from daemon.rehearsal.readings import FACTS, as_json, decoded
from pgvigil.columns import packed, unpacked
from pgvigil.model.facts import Facts
from pgvigil.model.history import Place
from pgvigil.model.sample import SampleBlock
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector

COARSE_S = 300.0  # how far apart readings stay when they are old
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Taken(NamedTuple):
    """A reading out of a block, and about how far apart those around it are."""

    at: datetime
    place: Place
    every_s: float
    facts: Facts
    payload: Any


@dataclass(slots=True)
class Filling:
    """A block that is being filled. What the reading before said as well is not kept twice."""

    target: str
    place: Place
    facts: Facts
    since_s: float  # by the monotonic clock
    at: list[datetime] = field(default_factory=list)
    which: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)  # JSON, compressed
    size_bytes: int = 0
    last: bytes = b""

    def add(self, snapshot: Snapshot[Any], collector: Collector[Any]) -> None:
        """Raises ValueError for a reading that JSON cannot hold."""
        text = as_json(collector, snapshot.rows)
        if text != self.last:
            self.last = text
            self.texts.append(zlib.compress(text, 1))
            self.size_bytes += len(self.texts[-1])
        self.at.append(snapshot.taken_at)
        self.which.append(len(self.texts) - 1)

    def block(self) -> SampleBlock:
        content = {
            "facts": FACTS.dump_python(self.facts, mode="json", exclude={"columns"}),
            "at": [(one - _EPOCH) // _MICROSECOND for one in self.at],
            "which": self.which,
            "rows": [from_json(zlib.decompress(text)) for text in self.texts],
        }
        empty = SampleBlock(
            target=self.target,
            collector=self.place.feed,
            database=self.place.database,
            first_at=self.at[0],
            last_at=self.at[-1],
            readings=0,
            every_s=0.0,
            coarse=False,
            data=b"",
        )
        return _with(empty, content)


def thinned(block: SampleBlock) -> SampleBlock:
    """The same with readings that are at least COARSE_S apart. One that cannot be read stays as it is."""
    try:
        content = _content(block)
    except ValueError:
        return replace(block, coarse=True)
    kept: list[int] = []
    for index, at in enumerate(content["at"]):
        if not kept or at - content["at"][kept[-1]] >= COARSE_S * 1e6:
            kept.append(index)
    used = sorted({content["which"][index] for index in kept})
    places = {old: new for new, old in enumerate(used)}
    content["at"] = [content["at"][index] for index in kept]
    content["which"] = [places[content["which"][index]] for index in kept]
    content["rows"] = [content["rows"][old] for old in used]
    coarse = replace(_with(block, content), coarse=True)
    # A few that have less in common can take more than many: the history must not grow by this.
    return coarse if len(coarse.data) <= len(block.data) else replace(block, coarse=True)


def _content(block: SampleBlock) -> dict[str, Any]:
    """What `Filling.block` put in. Raises ValueError for what it never made: damage, or another version."""
    try:
        [content] = unpacked(block.data)
        at, which, rows = content["at"], content["which"], content["rows"]
        sound = bool(at) and len(at) == len(which)
        sound = sound and all(0 <= one < len(rows) for one in which)
        stamps = [_stamp(one) for one in at]
    except (LookupError, TypeError, OverflowError) as error:
        raise ValueError(f"a block of {block.collector} has another form: {type(error).__name__}") from error
    if not sound or any(later <= one for one, later in pairwise(stamps)):
        raise ValueError(f"a block of {block.collector} has another form: its readings do not fit its stamps")
    found: dict[str, Any] = content
    return found


def _stamp(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def _with(block: SampleBlock, content: dict[str, Any]) -> SampleBlock:
    at = content["at"]
    gaps_s = [(later - one) / 1e6 for one, later in pairwise(at)]
    return replace(
        block,
        readings=len(at),
        every_s=median(gaps_s) if gaps_s else 0.0,
        coarse=all(gap_s >= COARSE_S for gap_s in gaps_s),
        data=packed([content]),
    )


def taken(block: SampleBlock, collector: Collector[Any]) -> Iterator[Taken]:
    """The readings of a block. Raises ValueError, before the first, where this program knows another form of them."""
    content = _content(block)
    try:
        facts = FACTS.validate_python(content["facts"])
        rows = [decoded(collector, one) for one in content["rows"]]
    except (ValidationError, KeyError, TypeError) as error:
        raise ValueError(f"a block of {block.collector} has another form: {type(error).__name__}") from error
    place = Place(block.collector, block.database)
    for at, which in zip(content["at"], content["which"], strict=True):
        yield Taken(_stamp(at), place, block.every_s, facts, rows[which])
