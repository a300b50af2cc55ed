"""The small caches of transaction status, multixacts, subtransactions and notifications: pg_stat_slru."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Slru(NamedTuple):
    """One cache; `name` is as the server has it, which 17 changed (Xact, then transaction)."""

    name: str
    blks_zeroed: int
    blks_hit: int
    blks_read: int
    blks_written: int
    blks_exists: int
    flushes: int
    truncates: int
    stats_reset: datetime | None


SLRU = Query(
    name="slru",
    row=Slru,
    columns=(
        Column("name", "name", "The cache."),
        Column("blks_zeroed", "blks_zeroed", "Blocks begun.", "blocks"),
        Column("blks_hit", "blks_hit", "Blocks found in the cache.", "blocks"),
        Column("blks_read", "blks_read", "Blocks read from files.", "blocks"),
        Column("blks_written", "blks_written", "Blocks written to files.", "blocks"),
        Column("blks_exists", "blks_exists", "Blocks checked for existence.", "blocks"),
        Column("flushes", "flushes", "Flushes of dirty blocks.", "count"),
        Column("truncates", "truncates", "Truncations.", "count"),
        Column("stats_reset", "stats_reset", "When the counters were reset.", "timestamp"),
    ),
    source="FROM pg_stat_slru",
)


def _read(reader: Reader) -> tuple[Slru, ...]:
    rows: tuple[Slru, ...] = reader.rows(SLRU)
    return rows


def _family(name: str, text: str, value: Callable[[Slru], float]) -> Family[tuple[Slru, ...]]:
    """What never happened is not exported: most caches are never used."""
    return Family(
        name=f"slru_{name}",
        help=text,
        rows=lambda rows: rows,
        value=lambda row: value(row) or None,
        labels={"slru": lambda row: row.name},
        counter=True,
    )


COLLECTOR = Collector(
    name="slru",
    summary="Hits, reads and writes of the caches of transaction status, multixacts and notifications",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(SLRU,),
    read=_read,
    tables={SLRU.name: lambda rows: rows},
    families=(
        _family("blocks_zeroed", "Blocks begun.", lambda row: row.blks_zeroed),
        _family("blocks_hit", "Blocks found in the cache.", lambda row: row.blks_hit),
        _family("blocks_read", "Blocks read from files.", lambda row: row.blks_read),
        _family("blocks_written", "Blocks written to files.", lambda row: row.blks_written),
        _family("blocks_exists", "Blocks checked for existence.", lambda row: row.blks_exists),
        _family("flushes", "Flushes of dirty blocks.", lambda row: row.flushes),
        _family("truncates", "Truncations.", lambda row: row.truncates),
    ),
)
