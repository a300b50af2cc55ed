"""What the rules about statements share: a statement's figures in one interval, and how they are shown."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgvigil.model.evidence import Block, BlockKind, Figure, Step
from pgvigil.model.facts import Facts
from pgvigil.model.snapshot import Delta
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.sql.statement import statement_kind
from pgvigil.statements import COUNTERS, KEY, StatementChanges, StatementKey
from pgvigil.text import one_line
from pgvigil.units import format_duration, format_size

_BLOCK_BYTES = 8192
_EXPLAINABLE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "WITH", "TABLE"})
_EXPLAINED_CHARS = 1_500  # a longer statement is not copied out of a message
_SHOWN_TEXT = 1_500
_MANY_ROWS = 10_000
_MANY_BLOCKS = 10_000  # 80 MB
_FEW_BLOCKS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one statement did in an interval; `exec_ms` and the rest are sums over its calls."""

    key: StatementKey
    elapsed_s: float
    server_exec_ms: float
    calls: int
    exec_ms: float
    rows: int
    shared_hit: int
    shared_read: int
    temp_blocks: int
    io_ms: float
    wal_bytes: int

    @property
    def mean_s(self) -> float:
        return self.exec_ms / self.calls / 1000

    @property
    def calls_per_minute(self) -> float:
        return 60 * self.calls / self.elapsed_s

    @property
    def share_percent(self) -> float:
        """Of the server's execution time; the server's sum does not count nested statements twice."""
        return min(100.0, 100 * self.exec_ms / self.server_exec_ms) if self.server_exec_ms else 0.0

    @property
    def busy_sessions(self) -> float:
        """How many sessions were busy with it on average."""
        return self.exec_ms / 1000 / self.elapsed_s

    @property
    def blocks_per_call(self) -> float:
        return (self.shared_hit + self.shared_read) / self.calls


def usages(delta: Delta[StatementChanges], where: NDArray[np.int64]) -> Iterator[Usage]:
    """The statements at `where` of what ran."""
    ran, total = delta.rows.ran, delta.rows.exec_ms
    columns = zip(*(ran[name][where].tolist() for name in (*KEY, *COUNTERS)), strict=True)
    for row in columns:
        yield Usage(
            key=StatementKey(*row[: len(KEY)]),
            elapsed_s=delta.elapsed_s,
            server_exec_ms=total,
            **dict(zip(COUNTERS, row[len(KEY) :], strict=True)),
        )


def named(text: str | None, queryid: int, limit: int = 90) -> str:
    """The statement in a summary: its text where it is known."""
    return one_line(text, limit) if text else f"statement {queryid} (its text is not known yet)"


def text_block(text: str | None) -> Block:
    if not text:
        return Block(
            BlockKind.TEXT,
            "Statement",
            "Its text is not known yet. It follows as soon as the server gives it.",
        )
    shown = text if len(text) <= _SHOWN_TEXT else text[:_SHOWN_TEXT].rstrip() + " …"
    return Block(BlockKind.SQL, "Statement", shown)


def figures(usage: Usage, facts: Facts | None) -> tuple[Figure, ...]:
    """Per call, and of the server. Zeros that say nothing are left out."""
    shown = [
        Figure("Mean time of a call", format_duration(usage.mean_s)),
        Figure("Calls a minute", _number(usage.calls_per_minute)),
        Figure("Share of the server's time", f"{usage.share_percent:.0f} %"),
        Figure("Rows a call", _number(usage.rows / usage.calls)),
        Figure("Blocks a call", _blocks(usage)),
    ]
    if usage.temp_blocks:
        shown.append(Figure("Temporary blocks a call", _number(usage.temp_blocks / usage.calls)))
    if _times_io(facts):
        shown.append(Figure("Time in block I/O", f"{_io_percent(usage):.0f} %"))
    if usage.wal_bytes:
        shown.append(Figure("WAL a call", format_size(usage.wal_bytes / usage.calls)))
    return tuple(shown)


def likely_cause(usage: Usage, facts: Facts | None) -> str:
    """The first of the usual reasons that the figures speak for; empty when they speak for none."""
    if usage.temp_blocks > usage.calls:
        return "Sorts or hashes do not fit into work_mem and go through temporary files."
    if _times_io(facts) and _io_percent(usage) > 50:
        return "Most of its time goes into reading from disk: the data does not fit into memory, or too much is read."
    if usage.blocks_per_call > _MANY_BLOCKS:
        amount = format_size(usage.blocks_per_call * _BLOCK_BYTES)
        return f"Each call goes through {amount} of tables and indexes: an index may be missing, or not used."
    if usage.rows > _MANY_ROWS * usage.calls:
        return "Each call returns many rows: a LIMIT or a condition may be missing."
    if usage.blocks_per_call < _FEW_BLOCKS:
        return (
            "It touches few blocks for the time it takes: it may wait for locks, for a function, or for CPU."
        )
    return ""


def steps(usage: Usage, text: str | None, database: str, facts: Facts | None) -> tuple[Step, ...]:
    """Safe commands: none of them runs the statement."""
    found = (*_running(usage, facts), *_explain(text, database, facts), *_statistics(usage, facts))
    return found or (Step("See what runs now in pg_stat_activity; commands follow when its text is known."),)


def _running(usage: Usage, facts: Facts | None) -> tuple[Step, ...]:
    if facts is None or not facts.has("pg_stat_activity.query_id"):
        return ()
    return (
        Step(
            "See who runs it now, and what those sessions wait for.",
            "SELECT pid, usename, application_name, wait_event_type, wait_event, now() - query_start AS running"
            f" FROM pg_stat_activity WHERE query_id = {usage.key.queryid}",
        ),
    )


def _explain(text: str | None, database: str, facts: Facts | None) -> tuple[Step, ...]:
    """GENERIC_PLAN (16+) plans a statement with parameters without values, and runs nothing."""
    if not text or text.endswith("…") or statement_kind(text) not in _EXPLAINABLE:
        return ()
    if facts is None or facts.version_num < 160000 or len(text) > _EXPLAINED_CHARS:
        return (Step(f"EXPLAIN it in database {one_line(database, 63)} with values that are usual for it."),)
    return (
        Step(
            f"See its plan, in database {one_line(database, 63)}; this does not run it.",
            f"EXPLAIN (GENERIC_PLAN) {text}",
        ),
    )


def _statistics(usage: Usage, facts: Facts | None) -> tuple[Step, ...]:
    if facts is None or "pg_stat_statements" not in facts.extensions:
        return ()
    schema = quote_identifier(facts.extensions["pg_stat_statements"][0])
    key = usage.key
    return (
        Step(
            f"Compare with its whole history, in database {one_line(facts.database, 63)}.",
            f"SELECT * FROM {schema}.pg_stat_statements"
            f" WHERE dbid = {key.dbid} AND userid = {key.userid} AND queryid = {key.queryid}",
        ),
    )


def _times_io(facts: Facts | None) -> bool:
    return facts is not None and facts.settings.get("track_io_timing") == "on"


def _io_percent(usage: Usage) -> float:
    return min(100.0, 100 * usage.io_ms / usage.exec_ms) if usage.exec_ms else 0.0


def _blocks(usage: Usage) -> str:
    blocks = usage.shared_hit + usage.shared_read
    read = f", {100 * usage.shared_read / blocks:.0f} % not in shared buffers" if usage.shared_read else ""
    return f"{_number(usage.blocks_per_call)} ({format_size(usage.blocks_per_call * _BLOCK_BYTES)}{read})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
