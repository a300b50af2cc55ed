"""How far the server is from the end of its transaction ids, of its multixact ids, and of their members.

The age of a database is that of its oldest row that is not frozen. The whole server stops writing when one database
comes to the limit: also a template, or one that admits nobody. Databases whose DROP was interrupted count for nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

from collectors.xmin_horizon import HOLDERS, Holder, holders
from pgvigil.model.failure import FailureKind
from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.query import Column, Query

# PostgreSQL refuses new ids 3 million before the end (1 million before 14): src/backend/access/transam/varsup.c.
XID_LIMIT = 2**31 - 1 - 3_000_000
MULTIXACT_LIMIT = 2**31 - 1 - 3_000_000  # multixact.c: SetMultiXactIdLimit
ID_SPACE = 2**32  # multixact ids, and places for members up to 18, are numbered modulo this


class Counters(NamedTuple):
    """The next transaction id, with its epoch, and the ages at which autovacuum freezes whatever else it thinks."""

    next_xid: int
    freeze_max_age: int
    multixact_freeze_max_age: int


class DatabaseAge(NamedTuple):
    """Ids used since the oldest one that the database still needs. `oldest_multixact` is that id itself."""

    name: str
    xids: int
    multixacts: int
    oldest_multixact: int
    connectable: bool
    template: bool


class Checkpointed(NamedTuple):
    """As of the last checkpoint: the next multixact, and the place of its first member."""

    next_multixact: int
    next_member: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WraparoundReading:
    """`databases` are those with the oldest transaction ids first. `checkpointed` is None where it may not be read."""

    counters: Counters
    databases: tuple[DatabaseAge, ...]
    checkpointed: Checkpointed | None = None
    holders: tuple[Holder, ...] = ()

    @property
    def xids(self) -> int:
        return max((each.xids for each in self.databases), default=0)

    @property
    def multixacts(self) -> int:
        return max((each.multixacts for each in self.databases), default=0)

    @property
    def next_multixact(self) -> int:
        """Of any database: all count from the same counter."""
        first = self.databases[0]
        return (first.oldest_multixact + first.multixacts) % ID_SPACE

    @property
    def oldest_multixact(self) -> int:
        return max(self.databases, key=lambda each: each.multixacts).oldest_multixact


COUNTERS = Query(
    name="wraparound_counters",
    row=Counters,
    columns=(
        Column("next_xid", "pg_snapshot_xmax(pg_current_snapshot())::text::int8"),
        Column("freeze_max_age", "current_setting('autovacuum_freeze_max_age')::int8", unit="count"),
        Column(
            "multixact_freeze_max_age",
            "current_setting('autovacuum_multixact_freeze_max_age')::int8",
            unit="count",
        ),
    ),
    source="",
)

DATABASES = Query(
    name="wraparound_databases",
    row=DatabaseAge,
    columns=(
        Column("name", "datname::text", "The database."),
        Column("xids", "age(datfrozenxid)", "Transaction ids since its oldest row not frozen.", "count"),
        Column("multixacts", "mxid_age(datminmxid)", "Multixact ids since its oldest one.", "count"),
        Column("oldest_multixact", "datminmxid::text::int8"),
        Column("connectable", "datallowconn", unit="flag"),
        Column("template", "datistemplate", unit="flag"),
    ),
    source="FROM pg_database WHERE datconnlimit <> -2 ORDER BY 2 DESC, 3 DESC, 1",
)

CHECKPOINTED = Query(
    name="wraparound_checkpointed",
    row=Checkpointed,
    columns=(
        Column("next_multixact", "next_multixact_id::text::int8"),
        Column("next_member", "next_multi_offset::text::int8"),
    ),
    source="FROM pg_control_checkpoint()",
)


def read(reader: Reader) -> WraparoundReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (counters,) = reader.rows(COUNTERS)
    return WraparoundReading(
        counters=counters,
        databases=reader.rows(DATABASES),
        checkpointed=_checkpointed(reader),
        holders=holders(reader),
    )


def _checkpointed(reader: Reader) -> Checkpointed | None:
    """Everybody may ask, unless somebody took that from PUBLIC."""
    try:
        (row,) = reader.rows(CHECKPOINTED)
    except ReadError as error:
        if error.failure.kind not in {FailureKind.PRIVILEGE, FailureKind.MISSING}:
            raise
        return None
    checkpointed: Checkpointed = row
    return checkpointed


def _members(reading: WraparoundReading) -> tuple[Sample, ...]:
    return () if reading.checkpointed is None else (Sample("", float(reading.checkpointed.next_member)),)


def _multixacts_of_members(reading: WraparoundReading) -> tuple[Sample, ...]:
    return () if reading.checkpointed is None else (Sample("", float(reading.checkpointed.next_multixact)),)


COLLECTOR = Collector(
    name="wraparound",
    summary="Ages of all databases in transaction ids and multixact ids, and how quickly these are used",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(COUNTERS, DATABASES, CHECKPOINTED, HOLDERS),
    read=read,
    tables={DATABASES.name: lambda reading: reading.databases},
    series={
        "next_xid": lambda reading: (Sample("", float(reading.counters.next_xid)),),
        "next_multixact": lambda reading: (Sample("", float(reading.next_multixact)),),
        "member_places": _members,
        "member_multixacts": _multixacts_of_members,
    },
    families=(
        Family(
            name="transaction_ids",
            help="Transaction ids given out since the cluster was made.",
            rows=lambda reading: (reading.counters,),
            value=lambda row: row.next_xid,
            counter=True,
        ),
        Family(
            name="database_unfrozen_xids",
            help="Transaction ids used since the oldest row of the database that is not frozen; the server stops"
            f" at {XID_LIMIT:,}.",
            rows=lambda reading: reading.databases,
            value=lambda row: row.xids,
            labels={"database": lambda row: row.name},
        ),
        Family(
            name="database_unfrozen_multixacts",
            help="Multixact ids used since the oldest one that the database still needs; the server stops at"
            f" {MULTIXACT_LIMIT:,}.",
            rows=lambda reading: reading.databases,
            value=lambda row: row.multixacts,
            labels={"database": lambda row: row.name},
        ),
    ),
)
