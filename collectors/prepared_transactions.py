"""Transactions prepared for a two-phase commit that nobody has ended yet: they keep their locks over restarts."""

from datetime import datetime
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class PreparedTransaction(NamedTuple):
    """One row of pg_prepared_xacts, the oldest first. `xid_age` is what vacuum must keep for it, in transactions.

    `locks` counts what it holds besides its own transaction id; `relations` are oids of some of the relations, the
    ones with the strongest locks first, and `strongest` is the strongest mode.
    """

    gid: str
    owner: str
    database: str
    database_oid: int
    prepared_at: datetime
    age_s: float
    xid_age: int
    locks: int
    strongest: str | None
    relations: list[int]


PREPARED = Query(
    name="prepared_transactions",
    row=PreparedTransaction,
    columns=(
        Column("gid", "p.gid", "Its global identifier."),
        Column("owner", "p.owner::text", "The role that prepared it."),
        Column("database", "p.database::text", "Its database."),
        Column("database_oid", "coalesce((SELECT oid FROM pg_database WHERE datname = p.database), 0)::int8"),
        Column("prepared_at", "p.prepared", "When it was prepared.", "timestamp"),
        Column(
            "age_s",
            "extract(epoch FROM clock_timestamp() - p.prepared)::float8",
            "Time since it was prepared.",
            "s",
        ),
        Column("xid_age", "age(p.transaction)", "Transactions begun since it began.", "count"),
        Column("locks", "coalesce(l.locks, 0)", "Locks that it holds.", "count"),
        Column("strongest", "l.modes[1]", "The strongest of their modes."),
        Column("relations", "coalesce(l.relations[1:5], '{}')", "Relations that it has locked: oids."),
    ),
    # Its locks have no pid; they are found by the virtual transaction that also holds its transaction id.
    source="""
    FROM pg_prepared_xacts AS p
    LEFT JOIN (
      WITH held AS MATERIALIZED (
        SELECT virtualtransaction, locktype, transactionid, relation, mode,
               array_position(ARRAY['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock',
                 'ShareUpdateExclusiveLock', 'RowExclusiveLock', 'RowShareLock', 'AccessShareLock'], mode) AS weakness
        FROM pg_locks
        WHERE pid IS NULL AND granted AND EXISTS (SELECT FROM pg_prepared_xacts)
      )
      SELECT own.transactionid::text AS transaction,
             count(h.mode) AS locks,
             array_agg(h.mode ORDER BY h.weakness) FILTER (WHERE h.mode IS NOT NULL) AS modes,
             array_agg(h.relation::int8 ORDER BY h.weakness, h.relation) FILTER (WHERE h.relation >= 16384) AS relations
      FROM held AS own
      LEFT JOIN held AS h ON h.virtualtransaction = own.virtualtransaction AND h.locktype <> 'transactionid'
      WHERE own.locktype = 'transactionid'
      GROUP BY own.transactionid::text
    ) AS l ON l.transaction = p.transaction::text
    ORDER BY p.prepared
    """,
)


def _read(reader: Reader) -> tuple[PreparedTransaction, ...]:
    rows: tuple[PreparedTransaction, ...] = reader.rows(PREPARED)
    return rows


COLLECTOR = Collector(
    name="prepared_transactions",
    summary="Transactions prepared for a two-phase commit: their age, and the locks that they hold",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(PREPARED,),
    read=_read,
    tables={PREPARED.name: lambda rows: rows},
    families=(
        Family(
            name="prepared_transactions",
            help="Transactions prepared for a two-phase commit that wait for their end.",
            rows=lambda rows: (len(rows),),
            value=float,
        ),
        Family(
            name="prepared_transactions_oldest_timestamp_seconds",
            help="When the oldest of them was prepared.",
            rows=lambda rows: rows[:1],
            value=lambda row: row.prepared_at.timestamp(),
        ),
    ),
)
