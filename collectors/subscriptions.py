"""Logical replication, the receiving side: subscriptions of a database, their workers, errors and unfinished tables.

Nothing of subconninfo is read: only its owner may, and it may hold a password.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from collectors._positions import gap
from pgvigil.model.facts import Facts
from pgvigil.model.series import Sample
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query
from pgvigil.problems import Problem
from pgvigil.sql.identifiers import quote_identifier

_MOST_TABLES = 20


class Counted(NamedTuple):
    """`readable`: whether more than their names can be asked for (before 14 that takes a grant)."""

    subscriptions: int
    readable: bool


class Subscription(NamedTuple):
    """`pid` is its apply worker's, None while it has none. Errors and conflicts are None where they are not counted
    (errors from 15, conflicts from 18 on). `unready` counts tables whose first copy is not done.
    """

    name: str
    enabled: bool
    slot: str | None
    pid: int | None
    copying: int
    message_age_s: float | None
    behind_bytes: int | None
    apply_errors: int | None
    sync_errors: int | None
    conflicts: int | None
    stats_reset: datetime | None
    disable_on_error: bool
    tables: int
    unready: int

    @property
    def errors(self) -> int | None:
        return None if self.apply_errors is None else self.apply_errors + (self.sync_errors or 0)


class UnreadyTable(NamedTuple):
    """`state`: i waits, d copies, f has copied, s catches up."""

    subscription: str
    schema: str
    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionsReading:
    """`unready` are some of the tables, by name. `unreadable` counts subscriptions that the role may not look into."""

    subscriptions: tuple[Subscription, ...] = ()
    unready: tuple[UnreadyTable, ...] = ()
    unreadable: int = 0


COUNTED = Query(
    name="subscriptions_counted",
    row=Counted,
    columns=(
        Column(
            "subscriptions",
            "(SELECT count(*) FROM pg_subscription"
            " WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()))::int4",
            "Subscriptions of the database.",
            "count",
        ),
        Column("readable", "has_column_privilege('pg_subscription', 'oid', 'SELECT')", unit="flag"),
    ),
    source="",
)


SUBSCRIPTIONS = Query(
    name="subscriptions",
    row=Subscription,
    columns=(
        Column("name", "s.subname::text"),
        Column("enabled", "s.subenabled", "Whether it is meant to receive.", "flag"),
        Column("slot", "s.subslotname::text", "Its slot on the publisher."),
        Column("pid", "w.pid", "Its apply worker."),
        Column(
            "copying",
            "(SELECT count(*) FROM pg_stat_subscription AS c WHERE c.subid = s.oid AND c.relid IS NOT NULL"
            " AND c.pid IS NOT NULL)::int4",
            "Workers that copy tables.",
            "count",
        ),
        Column(
            "message_age_s",
            "extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time)::float8",
            "Since the publisher's last message.",
            "s",
        ),
        Column(
            "behind_bytes",
            gap("w.received_lsn", "w.latest_end_lsn"),
            "Received, not confirmed.",
            "bytes",
        ),
        Column(
            "apply_errors",
            "(SELECT e.apply_error_count FROM pg_stat_subscription_stats AS e WHERE e.subid = s.oid)",
            "Errors while applying changes.",
            "count",
            needs="pg_stat_subscription_stats.apply_error_count",
            otherwise="NULL::int8",
        ),
        Column(
            "sync_errors",
            "(SELECT e.sync_error_count FROM pg_stat_subscription_stats AS e WHERE e.subid = s.oid)",
            "Errors while copying tables.",
            "count",
            needs="pg_stat_subscription_stats.sync_error_count",
            otherwise="NULL::int8",
        ),
        Column(
            "conflicts",
            "(SELECT e.confl_insert_exists + e.confl_update_exists + e.confl_update_missing + e.confl_delete_missing"
            " + e.confl_update_origin_differs + e.confl_delete_origin_differs + e.confl_multiple_unique_conflicts"
            " FROM pg_stat_subscription_stats AS e WHERE e.subid = s.oid)",
            "Conflicts of all kinds.",
            "count",
            needs="pg_stat_subscription_stats.confl_multiple_unique_conflicts",
            otherwise="NULL::int8",
        ),
        Column(
            "stats_reset",
            "(SELECT e.stats_reset FROM pg_stat_subscription_stats AS e WHERE e.subid = s.oid)",
            "When they were counted from.",
            "timestamp",
            needs="pg_stat_subscription_stats.stats_reset",
            otherwise="NULL::timestamptz",
        ),
        Column(
            "disable_on_error",
            "s.subdisableonerr",
            "Whether an error switches it off.",
            "flag",
            needs="pg_subscription.subdisableonerr",
            otherwise="false",
        ),
        Column(
            "tables",
            "(SELECT count(*) FROM pg_subscription_rel AS r WHERE r.srsubid = s.oid)::int4",
            "Tables that it receives.",
            "count",
        ),
        Column(
            "unready",
            "(SELECT count(*) FROM pg_subscription_rel AS r WHERE r.srsubid = s.oid AND r.srsubstate <> 'r')::int4",
            "Those whose first copy is not done.",
            "count",
        ),
    ),
    # A worker that copies has a relid, one that applies in parallel is led by another.
    source="""
    FROM pg_subscription AS s
    LEFT JOIN LATERAL (
        SELECT w.pid, w.received_lsn, w.latest_end_lsn, w.last_msg_receipt_time
        FROM pg_stat_subscription AS w WHERE w.subid = s.oid AND w.relid IS NULL
        ORDER BY w.received_lsn IS NULL, w.pid LIMIT 1
    ) AS w ON true
    WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    """,
)

UNREADY = Query(
    name="subscriptions_unready",
    row=UnreadyTable,
    columns=(
        Column("subscription", "s.subname::text"),
        Column("schema", "n.nspname::text"),
        Column("name", "c.relname::text", "Table."),
        Column("state", "r.srsubstate::text", "i, d, f or s."),
    ),
    source=f"""
    FROM pg_subscription_rel AS r
    JOIN pg_subscription AS s ON s.oid = r.srsubid
    JOIN pg_class AS c ON c.oid = r.srrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE r.srsubstate <> 'r'
    ORDER BY n.nspname, c.relname LIMIT {_MOST_TABLES}
    """,
)


def read(reader: Reader) -> SubscriptionsReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (counted,) = reader.rows(COUNTED)
    if not counted.readable or not counted.subscriptions:
        return SubscriptionsReading(unreadable=counted.subscriptions)
    subscriptions: tuple[Subscription, ...] = reader.rows(SUBSCRIPTIONS)
    if not any(each.unready for each in subscriptions):
        return SubscriptionsReading(subscriptions=subscriptions)
    return SubscriptionsReading(subscriptions=subscriptions, unready=reader.rows(UNREADY))


def _rows(reading: SubscriptionsReading) -> tuple[Subscription, ...]:
    return reading.subscriptions


def _none(reading: SubscriptionsReading) -> bool:
    return not (reading.subscriptions or reading.unreadable)


def _errors(reading: SubscriptionsReading) -> Iterable[Sample]:
    for each in reading.subscriptions:
        if each.errors is not None:
            epoch = "" if each.stats_reset is None else each.stats_reset.isoformat()
            yield Sample(each.name, float(each.errors), epoch)


def _workers(reading: SubscriptionsReading) -> Iterable[Sample]:
    return (Sample(each.name, float(each.pid)) for each in reading.subscriptions if each.pid is not None)


def _journal(reading: SubscriptionsReading) -> dict[str, str]:
    return {each.name: "enabled" if each.enabled else "disabled" for each in reading.subscriptions}


def _problems(snapshot: Snapshot[SubscriptionsReading], facts: Facts) -> Iterable[Problem]:
    if snapshot.rows.unreadable:
        yield Problem(
            slug="subscriptions-unreadable",
            sentence=f"The subscriptions of database {snapshot.database} cannot be looked into.",
            fix=f"GRANT SELECT (oid) ON pg_subscription TO {quote_identifier(facts.role)};",
            why="Before PostgreSQL 14 that takes a grant in each database; a subscription that stops is not seen.",
        )


_NAME = {"subscription": lambda row: row.name}

COLLECTOR = Collector(
    name="subscriptions",
    summary="Subscriptions of logical replication, their workers, errors and tables that are not copied yet.",
    lane=LaneKind.DATABASES,
    interval_s=60.0,
    idle=_none,
    timeout_s=5.0,
    queries=(COUNTED, SUBSCRIPTIONS, UNREADY),
    read=read,
    tables={"subscriptions": _rows},
    families=(
        Family(
            name="subscription_enabled",
            help="1 when a subscription is meant to receive.",
            rows=_rows,
            value=lambda row: float(row.enabled),
            labels=_NAME,
        ),
        Family(
            name="subscription_worker_up",
            help="1 while a subscription has its apply worker.",
            rows=_rows,
            value=lambda row: float(row.pid is not None),
            labels=_NAME,
        ),
        Family(
            name="subscription_errors",
            help="Errors while applying changes and copying tables (from PostgreSQL 15 on).",
            rows=_rows,
            value=lambda row: row.errors,
            labels=_NAME,
            counter=True,
        ),
        Family(
            name="subscription_conflicts",
            help="Conflicts of all kinds (from PostgreSQL 18 on).",
            rows=_rows,
            value=lambda row: row.conflicts,
            labels=_NAME,
            counter=True,
        ),
        Family(
            name="subscription_unready_tables",
            help="Tables whose first copy is not done.",
            rows=_rows,
            value=lambda row: row.unready,
            labels=_NAME,
        ),
    ),
    series={"errors": _errors, "worker": _workers},
    journal=_journal,
    problems=_problems,
)
