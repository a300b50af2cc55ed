"""The pools of a PgBouncer: who is connected, who waits and for how long, and how large each pool may become.

The console's own pool is left out. A pool is a database and a user; how many there are is a matter of PgBouncer's
configuration and of the users that the applications have.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.model.kind import TargetKind
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.console import DATABASE
from pgvigil.postgres.query import Column, Show


class Pool(NamedTuple):
    """Clients and server connections by state. None is what this version does not tell."""

    database: str
    user: str
    cl_active: int
    cl_waiting: int
    cl_active_cancel_req: int | None
    cl_waiting_cancel_req: int | None
    sv_active: int
    sv_active_cancel: int | None
    sv_being_canceled: int | None
    sv_idle: int
    sv_used: int
    sv_tested: int
    sv_login: int
    maxwait: int
    maxwait_us: int | None
    pool_mode: str | None

    @property
    def longest_wait_s(self) -> float:
        """Of the client that has waited longest for a server connection."""
        return self.maxwait + (self.maxwait_us or 0) / 1_000_000

    @property
    def taken(self) -> int:
        """Server connections that no waiting client could have now."""
        cancelling = (self.sv_active_cancel or 0) + (self.sv_being_canceled or 0)
        return self.sv_active + self.sv_tested + self.sv_login + cancelling


class PooledDatabase(NamedTuple):
    """A database as clients name it. `max_connections` 0 is no limit; a host of None is the local socket."""

    name: str
    host: str | None
    port: int | None
    database: str | None
    force_user: str | None
    pool_size: int
    min_pool_size: int | None
    reserve_pool_size: int | None
    pool_mode: str | None
    max_connections: int | None
    current_connections: int | None
    paused: int
    disabled: int


class ListItem(NamedTuple):
    list: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsReading:
    """`clients` are those of all databases, the ones that are logging in included."""

    pools: tuple[Pool, ...]
    databases: Mapping[str, PooledDatabase]
    clients: int
    max_clients: int


POOLS = Show(
    name="pgbouncer_pools",
    row=Pool,
    columns=(
        Column("database", "database", "Database."),
        Column("user", "user", "User."),
        Column("cl_active", "cl_active", "Clients that have a server connection, or are idle.", "count"),
        Column("cl_waiting", "cl_waiting", "Clients that wait for a server connection.", "count"),
        Column(
            "cl_active_cancel_req",
            "cl_active_cancel_req",
            "Clients whose request to cancel was passed on (1.18+).",
            "count",
        ),
        Column(
            "cl_waiting_cancel_req",
            "cl_waiting_cancel_req",
            "Clients whose request to cancel waits.",
            "count",
            otherwise="cl_cancel_req",
        ),
        Column("sv_active", "sv_active", "Server connections that a client has.", "count"),
        Column("sv_active_cancel", "sv_active_cancel", "Those that pass a cancel on (1.18+).", "count"),
        Column("sv_being_canceled", "sv_being_canceled", "Those that are being cancelled (1.18+).", "count"),
        Column("sv_idle", "sv_idle", "Those that a client can have at once.", "count"),
        Column("sv_used", "sv_used", "Those that must be checked before a client gets them.", "count"),
        Column("sv_tested", "sv_tested", "Those that are being reset or checked.", "count"),
        Column("sv_login", "sv_login", "Those that are logging in.", "count"),
        Column("maxwait", "maxwait", "Whole seconds that the first waiting client has waited.", "s"),
        Column("maxwait_us", "maxwait_us", "The microseconds beyond those."),
        Column("pool_mode", "pool_mode", "session, transaction or statement."),
    ),
    source="SHOW POOLS",
)

DATABASES = Show(
    name="pgbouncer_databases",
    row=PooledDatabase,
    columns=(
        Column("name", "name", "Database, as clients name it."),
        Column("host", "host", "Where its server is."),
        Column("port", "port", "Where its server listens."),
        Column("database", "database", "Database on the server."),
        Column("force_user", "force_user", "User of all server connections."),
        Column("pool_size", "pool_size", "Server connections that each pool may have.", "count"),
        Column("min_pool_size", "min_pool_size", "Server connections that are kept.", "count"),
        Column(
            "reserve_pool_size",
            "reserve_pool_size",
            "More of them, for clients that wait too long.",
            "count",
            otherwise="reserve_pool",
        ),
        Column("pool_mode", "pool_mode", "Where it is not the default."),
        Column("max_connections", "max_connections", "Limit of all its pools together; 0 is none.", "count"),
        Column("current_connections", "current_connections", "Server connections now.", "count"),
        Column("paused", "paused", "1 after PAUSE."),
        Column("disabled", "disabled", "1 after DISABLE."),
    ),
    source="SHOW DATABASES",
)

LISTS = Show(
    name="pgbouncer_lists",
    row=ListItem,
    columns=(Column("list", "list", "What is counted."), Column("items", "items", "How many.", "count")),
    source="SHOW LISTS",
)


def read(reader: Reader) -> PoolsReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    pools: tuple[Pool, ...] = reader.rows(POOLS)
    databases: tuple[PooledDatabase, ...] = reader.rows(DATABASES)
    lists: dict[str, int] = dict(reader.rows(LISTS))
    return PoolsReading(
        pools=tuple(pool for pool in pools if pool.database != DATABASE),
        databases={each.name: each for each in databases if each.name != DATABASE},
        clients=lists.get("used_clients", 0),  # login_clients are among them
        max_clients=reader.facts.max_connections,
    )


_CLIENT_STATES: Mapping[str, Callable[[Pool], int]] = {
    "active": lambda pool: pool.cl_active,
    "waiting": lambda pool: pool.cl_waiting,
    "cancelling": lambda pool: (pool.cl_active_cancel_req or 0) + (pool.cl_waiting_cancel_req or 0),
}
_SERVER_STATES: Mapping[str, Callable[[Pool], int]] = {
    "active": lambda pool: pool.sv_active,
    "cancelling": lambda pool: (pool.sv_active_cancel or 0) + (pool.sv_being_canceled or 0),
    "idle": lambda pool: pool.sv_idle,
    "used": lambda pool: pool.sv_used,
    "tested": lambda pool: pool.sv_tested,
    "login": lambda pool: pool.sv_login,
}


class _State(NamedTuple):
    pool: Pool
    state: str
    connections: int


def _by_state(states: Mapping[str, Callable[[Pool], int]]) -> Callable[[PoolsReading], Iterator[_State]]:
    def rows(reading: PoolsReading) -> Iterator[_State]:
        for pool in reading.pools:
            for state, count in states.items():
                yield _State(pool, state, count(pool))

    return rows


_POOL = {"database": lambda pool: pool.database, "user": lambda pool: pool.user}
_POOL_STATE = {
    "database": lambda row: row.pool.database,
    "user": lambda row: row.pool.user,
    "state": lambda row: row.state,
}
_DATABASE = {"database": lambda row: row.name}

FAMILIES: tuple[Family[PoolsReading], ...] = (
    Family(
        name="pgbouncer_pool_clients",
        help="Client connections of a pool, by state.",
        rows=_by_state(_CLIENT_STATES),
        value=lambda row: row.connections,
        labels=_POOL_STATE,
    ),
    Family(
        name="pgbouncer_pool_servers",
        help="Server connections of a pool, by state.",
        rows=_by_state(_SERVER_STATES),
        value=lambda row: row.connections,
        labels=_POOL_STATE,
    ),
    Family(
        name="pgbouncer_pool_longest_wait_seconds",
        help="How long the first waiting client of a pool has waited for a server connection.",
        rows=lambda reading: reading.pools,
        value=lambda pool: pool.longest_wait_s,
        labels=_POOL,
    ),
    Family(
        name="pgbouncer_database_pool_size",
        help="Server connections that each pool of a database may have.",
        rows=lambda reading: reading.databases.values(),
        value=lambda row: row.pool_size,
        labels=_DATABASE,
    ),
    Family(
        name="pgbouncer_database_connections",
        help="Server connections of all pools of a database.",
        rows=lambda reading: reading.databases.values(),
        value=lambda row: row.current_connections,
        labels=_DATABASE,
    ),
    Family(
        name="pgbouncer_database_max_connections",
        help="Limit of the server connections of all pools of a database; 0 is none.",
        rows=lambda reading: reading.databases.values(),
        value=lambda row: row.max_connections,
        labels=_DATABASE,
    ),
    Family(
        name="pgbouncer_database_paused",
        help="1 while a database is paused.",
        rows=lambda reading: reading.databases.values(),
        value=lambda row: row.paused,
        labels=_DATABASE,
    ),
    Family(
        name="pgbouncer_database_disabled",
        help="1 while a database is disabled.",
        rows=lambda reading: reading.databases.values(),
        value=lambda row: row.disabled,
        labels=_DATABASE,
    ),
    Family(
        name="pgbouncer_clients",
        help="Client connections of all databases.",
        rows=lambda reading: (reading,),
        value=lambda reading: reading.clients,
    ),
    Family(
        name="pgbouncer_max_clients",
        help="max_client_conn: client connections that there may be.",
        rows=lambda reading: (reading,),
        value=lambda reading: reading.max_clients,
    ),
)

COLLECTOR = Collector(
    name="pgbouncer_pools",
    summary="Pools of a PgBouncer: clients that wait and for how long, server connections, and their limits.",
    kind=TargetKind.PGBOUNCER,
    lane=LaneKind.SERVER,
    interval_s=5,
    timeout_s=2,
    fixed_pace=True,
    queries=(POOLS, DATABASES, LISTS),
    read=read,
    tables={
        POOLS.name: lambda reading: reading.pools,
        DATABASES.name: lambda reading: tuple(reading.databases.values()),
    },
    families=FAMILIES,
)
