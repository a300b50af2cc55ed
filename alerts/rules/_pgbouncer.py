"""What the rules about a PgBouncer share: how a pool is named, and what people type into the admin console."""

from collections.abc import Iterable

from alerts.rules._tables import table_block
from collectors.pgbouncer_pools import Pool, PooledDatabase, PoolsReading
from pgvigil.model.evidence import Block, Figure, Step
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.text import one_line
from pgvigil.units import format_duration

_SHOWN_POOLS = 10

LOOK = Step("See the pools, in the admin console (psql -d pgbouncer).", "SHOW POOLS;")
CLIENTS = Step("See which clients these are, and where they come from.", "SHOW CLIENTS;")
SERVERS = Step(
    "See what the server connections do: remote_pid is the pid in pg_stat_activity of the server.",
    "SHOW SERVERS;",
)


def pool_key(pool: Pool) -> str:
    """Subject and entity of one pool, unmistakable whatever the names hold."""
    return f"pool {quote_identifier(pool.database)}/{quote_identifier(pool.user)}"


def database_key(name: str) -> str:
    """Subject and entity of one database, as clients name it."""
    return f"database {quote_identifier(name)}"


def pool_name(pool: Pool) -> str:
    return f"{one_line(pool.database, 60)}/{one_line(pool.user, 60)}"


def obstacle(pool: Pool, database: PooledDatabase | None) -> str:
    """Why clients get no server connection though there is room; empty where nothing says so."""
    if database is None:
        return ""
    if database.paused:
        return f"The database is paused: its clients wait until somebody runs RESUME {quote_identifier(database.name)}."
    # First: the pools of others may have them all, and the server is well.
    limit = database.max_connections or 0
    if limit and (database.current_connections or 0) >= limit:
        return f"All pools of the database together are at max_db_connections ({limit:,})."
    if pool.cl_waiting and pool.taken + pool.sv_idle + pool.sv_used == 0:
        return (
            f"PgBouncer has no server connection for it: the server at {_address(database)} does not answer or"
            " refuses the login. PgBouncer's log says which."
        )
    return ""


def _address(database: PooledDatabase) -> str:
    return f"{one_line(database.host or 'the local socket', 80)}, port {database.port}"


def figures(pool: Pool, database: PooledDatabase | None) -> tuple[Figure, ...]:
    """One pool in numbers."""
    size = () if database is None else (Figure("pool_size", f"{database.pool_size:,}"),)
    reserve = 0 if database is None else database.reserve_pool_size or 0
    return (
        Figure("Clients waiting", f"{pool.cl_waiting:,}"),
        Figure("Longest wait", format_duration(pool.longest_wait_s)),
        Figure("Clients with a server connection, or idle", f"{pool.cl_active:,}"),
        Figure("Server connections taken", f"{pool.taken:,}"),
        Figure("Server connections free", f"{pool.sv_idle + pool.sv_used:,}"),
        *size,
        *((Figure("reserve_pool_size", f"{reserve:,}"),) if reserve else ()),
        *((Figure("Mode", pool.pool_mode),) if pool.pool_mode else ()),
    )


def pools_block(reading: PoolsReading, title: str, pools: Iterable[Pool]) -> Block:
    """The pools that matter most first."""
    rows = [
        (
            pool.cl_waiting,
            format_duration(pool.longest_wait_s),
            pool.cl_active,
            pool.taken,
            reading.databases[pool.database].pool_size if pool.database in reading.databases else "?",
            pool_name(pool),
        )
        for pool in sorted(pools, key=lambda each: (-each.cl_waiting, -each.longest_wait_s, -each.cl_active))
    ]
    header = ("waiting", "longest", "clients", "taken", "size", "pool")
    return table_block(title, header, rows, _SHOWN_POOLS)
