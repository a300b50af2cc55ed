"""What went through a PgBouncer since it was started, by database."""

from collections.abc import Callable
from typing import NamedTuple

from pgvigil.model.kind import TargetKind
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.console import DATABASE
from pgvigil.postgres.query import Column, Show

Reading = tuple["DatabaseTraffic", ...]


class DatabaseTraffic(NamedTuple):
    """Counters; times are in microseconds. None is what this version does not tell."""

    database: str
    xact_count: int
    query_count: int
    received_bytes: int
    sent_bytes: int
    xact_time_us: int
    query_time_us: int
    wait_time_us: int
    server_assignment_count: int | None
    client_parse_count: int | None
    server_parse_count: int | None
    bind_count: int | None


STATS = Show(
    name="pgbouncer_stats",
    row=DatabaseTraffic,
    columns=(
        Column("database", "database", "Database."),
        Column("xact_count", "total_xact_count", "Transactions.", "count"),
        Column("query_count", "total_query_count", "Queries.", "count"),
        Column("received_bytes", "total_received", "Bytes from clients.", "bytes"),
        Column("sent_bytes", "total_sent", "Bytes to clients.", "bytes"),
        Column("xact_time_us", "total_xact_time", "Microseconds in transactions."),
        Column("query_time_us", "total_query_time", "Microseconds in queries."),
        Column(
            "wait_time_us", "total_wait_time", "Microseconds that clients waited for a server connection."
        ),
        Column(
            "server_assignment_count",
            "total_server_assignment_count",
            "Server connections that were given to a client (1.23+).",
            "count",
        ),
        Column("client_parse_count", "total_client_parse_count", "Prepared by clients (1.24+).", "count"),
        Column("server_parse_count", "total_server_parse_count", "Prepared on servers (1.24+).", "count"),
        Column("bind_count", "total_bind_count", "Prepared statements that ran (1.24+).", "count"),
    ),
    source="SHOW STATS",
)


def read(reader: Reader) -> Reading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    rows: Reading = reader.rows(STATS)
    return tuple(row for row in rows if row.database != DATABASE)


def _counter(name: str, text: str, value: Callable[[DatabaseTraffic], float | None]) -> Family[Reading]:
    return Family(
        name=f"pgbouncer_{name}",
        help=text,
        rows=lambda reading: reading,
        value=value,
        labels={"database": lambda row: row.database},
        counter=True,
    )


def _seconds(microseconds: int) -> float:
    return microseconds / 1_000_000


COLLECTOR = Collector(
    name="pgbouncer_stats",
    summary="Transactions, queries, bytes and waiting since PgBouncer was started, by database.",
    kind=TargetKind.PGBOUNCER,
    lane=LaneKind.SERVER,
    interval_s=15,
    timeout_s=2,
    queries=(STATS,),
    read=read,
    tables={STATS.name: lambda reading: reading},
    families=(
        _counter("transactions", "Transactions.", lambda row: row.xact_count),
        _counter("queries", "Queries.", lambda row: row.query_count),
        _counter("received_bytes", "Bytes received from clients.", lambda row: row.received_bytes),
        _counter("sent_bytes", "Bytes sent to clients.", lambda row: row.sent_bytes),
        _counter(
            "transaction_seconds", "Time spent in transactions.", lambda row: _seconds(row.xact_time_us)
        ),
        _counter("query_seconds", "Time spent in queries.", lambda row: _seconds(row.query_time_us)),
        _counter(
            "client_wait_seconds",
            "Time that clients waited for a server connection.",
            lambda row: _seconds(row.wait_time_us),
        ),
        _counter(
            "server_assignments",
            "Server connections that were given to a client.",
            lambda row: row.server_assignment_count,
        ),
        _counter("client_parses", "Statements prepared by clients.", lambda row: row.client_parse_count),
        _counter("server_parses", "Statements prepared on servers.", lambda row: row.server_parse_count),
        _counter("binds", "Prepared statements that ran.", lambda row: row.bind_count),
    ),
)
