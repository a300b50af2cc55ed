"""The history of readings, in packed blocks. It is only in the file, and never larger than it may be."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from pgvigil.model.sample import SampleBlock
from pgvigil.store.batches import delete_in_batches
from pgvigil.store.database import Database
from pgvigil.store.schema import METADATA, STAMP, TEXT

_ROW_BYTES = 130  # of a block beside its data
_INDEX_BYTES = 170  # of its places in the indexes
_PAGE_BYTES = 4096  # of the file: what does not share a page takes whole ones

SAMPLE_BLOCK = Table(
    "sample_block",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("target", TEXT, nullable=False),
    Column("collector", TEXT, nullable=False),
    Column("database", TEXT),
    Column("first_at", STAMP, nullable=False),
    Column("last_at", STAMP, nullable=False),
    Column("readings", Integer, nullable=False),
    Column("every_s", Float, nullable=False),
    Column("coarse", Boolean, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("sample_block_oldest", "last_at", "size_bytes"),
    Index("sample_block_fine", "coarse", "last_at"),
    Index("sample_block_place", "target", "collector", "first_at"),
)
_COLUMNS = [SAMPLE_BLOCK.c[field.name] for field in fields(SampleBlock)]


class Samples:
    """Every call may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, blocks: Sequence[SampleBlock], *, since: datetime, most_bytes: int) -> None:
        """Write them, and drop what ended before `since` and then the oldest, until all of them take at most
        `most_bytes` of the file: in one transaction and room first, so that there is never more.
        """
        self._database.write(lambda connection: _add(connection, blocks, since, most_bytes))

    def fine(self, before: datetime, most: int) -> list[SampleBlock]:
        """Some that ended before and still have all their readings, the oldest first."""
        wanted = (SAMPLE_BLOCK.c.coarse.is_(False), SAMPLE_BLOCK.c.last_at < before)
        query = select(*_COLUMNS).where(*wanted).order_by(SAMPLE_BLOCK.c.last_at).limit(most)
        return self._database.read(lambda connection: _blocks(connection, query))

    def replace(self, blocks: Sequence[SampleBlock]) -> None:
        """Put each in the place of the block of its id, if that is still there."""
        self._database.write(lambda connection: _replace(connection, blocks))

    def of(self, target: str, collector: str, since: datetime) -> Iterator[SampleBlock]:
        """Those with readings since then, the oldest first; read one at a time."""
        wanted = (
            SAMPLE_BLOCK.c.target == target,
            SAMPLE_BLOCK.c.collector == collector,
            SAMPLE_BLOCK.c.last_at >= since,
        )
        ids = select(SAMPLE_BLOCK.c.id).where(*wanted).order_by(SAMPLE_BLOCK.c.first_at, SAMPLE_BLOCK.c.id)
        for key in self._database.read(lambda connection: list(connection.scalars(ids))):
            query = select(*_COLUMNS).where(SAMPLE_BLOCK.c.id == key)
            yield from self._database.read(lambda connection, query=query: _blocks(connection, query))  # type: ignore[misc]

    def size_bytes(self) -> int:
        """What all of them take."""
        return self._database.read(_size_bytes)

    def forget(self, targets: Collection[str]) -> None:
        """Drop those of every target that is not among `targets`."""
        delete_in_batches(self._database, SAMPLE_BLOCK.c.id, SAMPLE_BLOCK.c.target.not_in(targets))


def _blocks(connection: Connection, query: Any) -> list[SampleBlock]:
    return [SampleBlock(**row) for row in connection.execute(query).mappings()]


def _row(block: SampleBlock) -> dict[str, Any]:
    row = {field.name: getattr(block, field.name) for field in fields(block) if field.name != "id"}
    return {**row, "size_bytes": _takes_bytes(block)}


def _takes_bytes(block: SampleBlock) -> int:
    """Of the file, where a page holds whole small rows, and a large one has its last page for itself."""
    row_bytes = len(block.data) + _ROW_BYTES
    if row_bytes <= _PAGE_BYTES:
        return _PAGE_BYTES // (_PAGE_BYTES // row_bytes) + _INDEX_BYTES
    return -(-row_bytes // _PAGE_BYTES) * _PAGE_BYTES + _INDEX_BYTES


def _add(connection: Connection, blocks: Sequence[SampleBlock], since: datetime, most_bytes: int) -> None:
    connection.execute(delete(SAMPLE_BLOCK).where(SAMPLE_BLOCK.c.last_at < since))
    wanted = _newest([one for one in blocks if one.last_at >= since], most_bytes)
    _drop(connection, _size_bytes(connection) + sum(map(_takes_bytes, wanted)) - most_bytes)
    if wanted:
        connection.execute(insert(SAMPLE_BLOCK), [_row(one) for one in wanted])


def _newest(blocks: Sequence[SampleBlock], most_bytes: int) -> list[SampleBlock]:
    """Those that fit into all that there may be, in their order."""
    left_bytes, places = most_bytes, set[int]()
    for place, one in sorted(enumerate(blocks), key=lambda pair: pair[1].last_at, reverse=True):
        left_bytes -= _takes_bytes(one)
        if left_bytes < 0:
            break
        places.add(place)
    return [one for place, one in enumerate(blocks) if place in places]


def _drop(connection: Connection, excess_bytes: int) -> None:
    """The oldest, until so much is free."""
    if excess_bytes <= 0:
        return
    oldest = select(SAMPLE_BLOCK.c.id, SAMPLE_BLOCK.c.size_bytes).order_by(
        SAMPLE_BLOCK.c.last_at, SAMPLE_BLOCK.c.id
    )
    gone: list[int] = []
    for key, size_bytes in connection.execute(oldest):
        if excess_bytes <= 0:
            break
        gone.append(key)
        excess_bytes -= size_bytes
    for start in range(0, len(gone), 500):
        connection.execute(delete(SAMPLE_BLOCK).where(SAMPLE_BLOCK.c.id.in_(gone[start : start + 500])))


def _size_bytes(connection: Connection) -> int:
    return int(connection.scalar(select(func.coalesce(func.sum(SAMPLE_BLOCK.c.size_bytes), 0))) or 0)


def _replace(connection: Connection, blocks: Sequence[SampleBlock]) -> None:
    for one in blocks:
        connection.execute(update(SAMPLE_BLOCK).where(SAMPLE_BLOCK.c.id == one.id).values(_row(one)))
