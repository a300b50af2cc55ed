"""Who is fed from this server's write-ahead log, and how far each of them is: standbys, cascaded ones, logical consumers.

Positions are bytes from the beginning of the log. On a standby they are compared with what it has received itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from collectors._positions import gap
from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query

# What clients of libpq call themselves when nobody gave them a name.
_NAMELESS = frozenset({"", "walreceiver"})
_BACKUP = "pg_basebackup"
_TABLE_COPY = re.compile(r"pg_\d+_sync_\d+_\d+")  # a subscription's worker that copies one table, and goes


class Sender(NamedTuple):
    """The server itself: `position` is up to where it could send now."""

    in_recovery: bool
    position: int | None


class Replica(NamedTuple):
    """One who receives. `state` is None where the role may not see it.

    `replay_position` is None for who replays nothing (pg_receivewal). The lags are the server's own measurement of
    the last record that was confirmed; None when all is confirmed and nothing is written.
    """

    pid: int
    application: str
    client: str | None
    state: str | None
    sync_state: str | None
    slot: str | None
    kind: str
    unsent_bytes: int | None
    unflushed_bytes: int | None
    unreplayed_bytes: int | None
    behind_bytes: int | None
    replay_position: int | None
    write_lag_s: float | None
    flush_lag_s: float | None
    replay_lag_s: float | None

    @property
    def name(self) -> str:
        """Stable over reconnects: what it calls itself, else its slot, else where it connects from."""
        if self.application not in _NAMELESS:
            return self.application
        return self.slot or f"walreceiver at {self.client or 'a local socket'}"

    @property
    def stays(self) -> bool:
        """Whether it is meant to be there tomorrow: neither a backup nor the copy of a table."""
        return (
            self.application != _BACKUP and self.state != "backup" and not _TABLE_COPY.match(self.application)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationReading:
    """`replicas` has one for each name, the one that is furthest behind; `hidden` where the role may not see them."""

    in_recovery: bool
    position: int | None
    replicas: Mapping[str, Replica]
    hidden: bool = False


_HERE = (
    "CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    " ELSE pg_current_wal_flush_lsn() END"
)

SENDER = Query(
    name="replication_sender",
    row=Sender,
    columns=(
        Column("in_recovery", "pg_is_in_recovery()", "Whether the server is a standby itself.", "flag"),
        Column("position", f"({_HERE} - '0/0'::pg_lsn)::int8", "Up to where it could send.", "bytes"),
    ),
    source="",
)

REPLICAS = Query(
    name="replication",
    row=Replica,
    columns=(
        Column("pid", "r.pid"),
        Column("application", "coalesce(r.application_name, '')", "What it calls itself."),
        Column("client", "host(r.client_addr)", "Where it connects from; null for a local socket."),
        Column("state", "r.state", "startup, catchup, streaming, backup or stopping."),
        Column("sync_state", "r.sync_state", "async, potential, sync or quorum."),
        Column("slot", "s.slot_name::text", "The slot that it uses."),
        Column("kind", "coalesce(s.slot_type, 'physical')", "physical or logical."),
        Column("unsent_bytes", gap("h.lsn", "r.sent_lsn"), "Not sent to it.", "bytes"),
        Column(
            "unflushed_bytes",
            gap("r.sent_lsn", "r.flush_lsn"),
            "Sent, not on its disk.",
            "bytes",
        ),
        Column(
            "unreplayed_bytes",
            gap("r.flush_lsn", "r.replay_lsn"),
            "There, not replayed.",
            "bytes",
        ),
        Column("behind_bytes", gap("h.lsn", "r.replay_lsn"), "All of these.", "bytes"),
        Column("replay_position", "(r.replay_lsn - '0/0'::pg_lsn)::int8", "Up to where it shows.", "bytes"),
        Column("write_lag_s", "extract(epoch FROM r.write_lag)::float8", "Until it had it.", "s"),
        Column("flush_lag_s", "extract(epoch FROM r.flush_lag)::float8", "Until it was on disk.", "s"),
        Column("replay_lag_s", "extract(epoch FROM r.replay_lag)::float8", "Until it showed it.", "s"),
    ),
    source=f"""
    FROM pg_stat_replication AS r
    LEFT JOIN pg_replication_slots AS s ON s.active_pid = r.pid
    CROSS JOIN (SELECT {_HERE} AS lsn) AS h
    """,
)


def read(reader: Reader) -> ReplicationReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    rows: tuple[Replica, ...] = reader.rows(REPLICAS)
    (sender,) = reader.rows(SENDER)
    ahead_first = sorted(rows, key=lambda row: row.behind_bytes or 0)
    return ReplicationReading(
        in_recovery=sender.in_recovery,
        position=sender.position,
        replicas={row.name: row for row in ahead_first if row.state is not None and row.stays},
        hidden=any(row.state is None for row in rows),
    )


def _written(reading: ReplicationReading) -> tuple[Sample, ...]:
    if reading.position is None:
        return ()
    return (Sample("", float(reading.position), "standby" if reading.in_recovery else "primary"),)


def _connected(reading: ReplicationReading) -> dict[str, str]:
    """Who is here, and by which slot. Of standbys only: a logical consumer is missed by its slot."""
    return {name: row.slot or "" for name, row in reading.replicas.items() if row.kind == "physical"}


def _rows(reading: ReplicationReading) -> tuple[Replica, ...]:
    return tuple(reading.replicas.values())


_REPLICA = {"replica": lambda row: row.name}

COLLECTOR = Collector(
    name="replication",
    summary="Standbys and other receivers of the write-ahead log, and how far behind each is.",
    lane=LaneKind.SERVER,
    interval_s=15.0,
    timeout_s=5.0,
    queries=(SENDER, REPLICAS),
    read=read,
    tables={"replication": _rows},
    families=(
        Family(
            name="replication_behind_bytes",
            help="Log that a receiver has not replayed (or confirmed).",
            rows=_rows,
            value=lambda row: row.behind_bytes,
            labels=_REPLICA,
        ),
        Family(
            name="replication_unsent_bytes",
            help="Log that was not sent to a receiver.",
            rows=_rows,
            value=lambda row: row.unsent_bytes,
            labels=_REPLICA,
        ),
        Family(
            name="replication_replay_lag_seconds",
            help="Time from the flush of the last confirmed record to its replay; 0 where all is replayed.",
            rows=_rows,
            value=lambda row: 0.0 if row.behind_bytes == 0 else row.replay_lag_s,
            labels=_REPLICA,
        ),
        Family(
            name="replication_connected",
            help="Receivers that are connected, by name.",
            rows=_rows,
            value=lambda _row: 1.0,
            labels=_REPLICA,
        ),
    ),
    series={"written": _written},
    journal=_connected,
)
