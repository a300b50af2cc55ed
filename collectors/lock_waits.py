"""Who waits for which lock, who is in the way, and what those sessions do.

The everyday cost is one look at pg_stat_activity. Only when something waits are the blockers asked for, and
only for the sessions that wait: pg_blocking_pids() needs the lock manager to itself for a moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pgvigil.model.finding import session_key
from pgvigil.plugins import Collector, LaneKind, Reader
from pgvigil.postgres.query import Column, Query, start_of
from pgvigil.sql.kept import StatementText

# Each examined waiter costs one call of pg_blocking_pids(), whose answer grows with the queue.
MAX_EXAMINED = 300


class Waiting(NamedTuple):
    """The cheap look: who waits for a lock (the leaders of parallel workers), longest statement first."""

    pids: list[int]
    connections: int


class Blocked(NamedTuple):
    """A waiter and the sessions in its way; 0 stands for prepared transactions."""

    pid: int
    blockers: list[int]


class WaitSession(NamedTuple):
    """A session that waits or is in the way."""

    pid: int
    backend_start: datetime
    backend_type: str
    database: str
    user_name: str
    application: str
    client: str
    state: str
    state_age_s: float | None
    xact_age_s: float | None
    query_age_s: float | None
    query_id: int | None
    query: StatementText

    @property
    def key(self) -> str:
        return session_key(self.pid, self.backend_start)

    @property
    def idle_in_transaction(self) -> bool:
        return self.state.startswith("idle in transaction")


class Lock(NamedTuple):
    """One row of pg_locks on an object that somebody waits for, or a waiter's claim on a row.

    `tag` identifies the object. `relation` is its name where the connected database knows it. A prepared
    transaction has pid 0 and its `gid`.
    """

    pid: int
    gid: str | None
    gid_age_s: float | None
    gid_database: str | None
    gid_owner: str | None
    granted: bool
    mode: str
    locktype: str
    tag: str
    database_oid: int | None
    relation_oid: int | None
    relation: str | None
    wait_age_s: float | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction that was prepared and holds its locks until somebody ends it by its gid."""

    gid: str
    age_s: float
    database: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitGraph:
    """One picture of all lock waits. Parallel workers appear as their leaders.

    `blockers` gives for each examined waiter who is in its way: sessions by pid, prepared transactions by
    gid. `waits` is the lock that each waits for, with `wait_age_s` always known, and `held` what others have
    of those objects. Waiters beyond MAX_EXAMINED are only counted, in `unexamined`. `blind` is True where
    our role cannot see who waits.
    """

    connections: int = 0
    unexamined: int = 0
    blind: bool = False
    sessions: Mapping[int, WaitSession] = field(default_factory=dict)
    prepared: Mapping[str, Prepared] = field(default_factory=dict)
    blockers: Mapping[int, tuple[int | str, ...]] = field(default_factory=dict)
    waits: Mapping[int, Lock] = field(default_factory=dict)
    held: tuple[Lock, ...] = ()

    @property
    def waiting(self) -> int:
        """Sessions that wait for a lock."""
        return len(self.blockers) + self.unexamined


# A parallel worker's wait is its leader's. (Parallel apply workers have leaders too, but locks of their own.)
WAITING = Query(
    name="lock_waits",
    row=Waiting,
    columns=(
        Column(
            "pids",
            "coalesce(array_agg(CASE backend_type WHEN 'parallel worker' THEN leader_pid ELSE pid END"
            " ORDER BY query_start, pid) FILTER (WHERE wait_event_type = 'Lock'), '{}')::int[]",
        ),
        Column("connections", "count(*) FILTER (WHERE backend_type = 'client backend')", unit="count"),
    ),
    source="FROM pg_stat_get_activity(NULL)",
)

BLOCKED = Query(
    name="lock_waits_blocked",
    row=Blocked,
    columns=(Column("pid", "waiter.pid"), Column("blockers", "pg_blocking_pids(waiter.pid)")),
    source="FROM unnest(%(pids)s::int[]) AS waiter(pid)",
)

SESSIONS = Query(
    name="lock_waits_sessions",
    row=WaitSession,
    columns=(
        Column("pid", "pid"),
        Column("backend_start", "backend_start", unit="timestamp"),
        Column("backend_type", "backend_type"),
        Column("database", "coalesce(datname, '')"),
        Column("user_name", "coalesce(usename, '')"),
        Column("application", "coalesce(application_name, '')"),
        Column("client", "coalesce(host(client_addr), 'local')"),
        Column("state", "coalesce(state, backend_type)"),
        Column("state_age_s", "extract(epoch FROM clock_timestamp() - state_change)::float8", unit="s"),
        Column("xact_age_s", "extract(epoch FROM clock_timestamp() - xact_start)::float8", unit="s"),
        Column("query_age_s", "extract(epoch FROM clock_timestamp() - query_start)::float8", unit="s"),
        Column("query_id", "query_id", needs="pg_stat_activity.query_id", otherwise="NULL::bigint"),
        Column("query", start_of("query", 4096)),
    ),
    source="FROM pg_stat_activity WHERE pid = ANY (%(pids)s::int[]) AND backend_start IS NOT NULL",
)

# A name can be looked up only in the connected database (and for shared catalogues). The row that a waiter
# wants is known from its tuple lock: whoever is first in the queue for a row holds that while it waits for
# the transaction that changed the row. pg_locks is read once.
LOCKS = Query(
    name="lock_waits_locks",
    row=Lock,
    columns=(
        Column("pid", "coalesce(worker.leader_pid, l.pid, 0)"),
        Column("gid", "l.gid"),
        Column("gid_age_s", "extract(epoch FROM clock_timestamp() - l.prepared)::float8", unit="s"),
        Column("gid_database", "l.gid_database::text"),
        Column("gid_owner", "l.owner::text"),
        Column("granted", "l.granted"),
        Column("mode", "l.mode"),
        Column("locktype", "l.locktype"),
        Column("tag", "l.tag"),
        Column("database_oid", "l.database"),
        Column("relation_oid", "l.relation"),
        Column(
            "relation",
            "CASE WHEN l.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
            " THEN l.relation::regclass::text END",
        ),
        Column(
            "wait_age_s",
            "extract(epoch FROM clock_timestamp() - l.waitstart)::float8",
            unit="s",
            needs="pg_locks.waitstart",
            otherwise="NULL::float8",
        ),
    ),
    source="""
    FROM (
      WITH every AS MATERIALIZED (
        SELECT *, concat_ws('/', locktype, database, relation, page, tuple, virtualxid, transactionid, classid,
                            objid, objsubid) AS tag
        FROM pg_locks
      ), prepared AS (
        SELECT own.virtualtransaction, p.gid, p.prepared, p.database, p.owner
        FROM every AS own JOIN pg_prepared_xacts AS p ON p.transaction = own.transactionid
        WHERE own.pid IS NULL AND own.locktype = 'transactionid' AND own.granted
      )
      SELECT every.*, gid, prepared, prepared.database AS gid_database, owner
      FROM every LEFT JOIN prepared
        ON every.pid IS NULL AND every.virtualtransaction = prepared.virtualtransaction
      WHERE tag IN (SELECT tag FROM every WHERE NOT granted)
         OR (granted AND locktype = 'tuple' AND pid = ANY (%(pids)s::int[]))
    ) AS l
    LEFT JOIN pg_stat_get_activity(NULL) AS worker
      ON worker.pid = l.pid AND worker.backend_type = 'parallel worker'
    """,
)


def _read(reader: Reader) -> WaitGraph:
    (waiting,) = reader.rows(WAITING)
    blind = not reader.facts.monitor
    pids = list(dict.fromkeys(waiting.pids))
    if not pids:
        return WaitGraph(connections=waiting.connections, blind=blind)
    examined = pids[:MAX_EXAMINED]
    blocked = {row.pid: row.blockers for row in reader.rows(BLOCKED, {"pids": examined}) if row.blockers}
    involved = sorted({*blocked, *(pid for blockers in blocked.values() for pid in blockers)} - {0})
    sessions: dict[int, WaitSession] = {row.pid: row for row in reader.rows(SESSIONS, {"pids": involved})}
    locks: tuple[Lock, ...] = reader.rows(LOCKS, {"pids": sorted(blocked)})
    waits = _waits(locks, sessions, exact=reader.facts.has("pg_locks.waitstart"))
    held = tuple(lock for lock in locks if lock.granted)
    return WaitGraph(
        connections=waiting.connections,
        unexamined=len(pids) - len(examined),
        blind=blind,
        sessions=sessions,
        prepared={lock.gid: _prepared(lock, lock.gid) for lock in held if lock.gid is not None},
        blockers={pid: _in_the_way(blocked[pid], waits.get(pid), held) for pid in blocked if pid in sessions},
        waits=waits,
        held=held,
    )


def _prepared(lock: Lock, gid: str) -> Prepared:
    return Prepared(gid, lock.gid_age_s or 0.0, lock.gid_database or "", lock.gid_owner or "")


def _in_the_way(blockers: list[int], wait: Lock | None, held: tuple[Lock, ...]) -> tuple[int | str, ...]:
    """Who blocks, once each: pid 0 becomes the prepared transactions that hold a lock on the same object."""
    sessions = [pid for pid in dict.fromkeys(blockers) if pid]
    if 0 not in blockers or wait is None:
        return tuple(sessions)
    return (*sessions, *sorted({lock.gid for lock in held if lock.gid is not None and lock.tag == wait.tag}))


def _waits(locks: tuple[Lock, ...], sessions: Mapping[int, WaitSession], *, exact: bool) -> dict[int, Lock]:
    """The awaited lock of each session. Where several members of a parallel query wait: the longest wait."""
    waits: dict[int, Lock] = {}
    for lock in locks:
        session = sessions.get(lock.pid)
        if lock.granted or session is None:
            continue
        # waitstart is unset for the first moment of a wait. Before 14 there is none: the statement's start
        # is the nearest thing that the server tells.
        age_s = lock.wait_age_s if exact else session.query_age_s
        wait = lock._replace(wait_age_s=age_s or 0.0)
        known = waits.get(lock.pid)
        if known is None or (known.wait_age_s or 0.0) < (age_s or 0.0):
            waits[lock.pid] = wait
    return waits


COLLECTOR = Collector(
    name="lock_waits",
    summary="The wait graph: who waits for which lock on what, who holds it, and what the root is doing",
    lane=LaneKind.SERVER,
    interval_s=5.0,
    timeout_s=5.0,
    fixed_pace=True,
    queries=(WAITING, BLOCKED, SESSIONS, LOCKS),
    read=_read,
    tables={
        SESSIONS.name: lambda graph: tuple(graph.sessions.values()),
        LOCKS.name: lambda graph: (*graph.waits.values(), *graph.held),
    },
)
