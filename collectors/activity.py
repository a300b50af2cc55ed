"""Who is connected and what they do: pg_stat_activity of the whole server.

Sessions that work or hold a transaction come row by row; idle ones only as counts, because a server may
have thousands. Ages are measured by the server's clock, so a clock that differs from ours does no harm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.model.finding import session_key
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query, start_of
from pgvigil.sql.kept import StatementText

HIDDEN = "hidden"  # state of sessions that our role may not see


class Session(NamedTuple):
    """One session that works or is in a transaction. `own` marks pgvigil's own sessions.

    `state` is active, idle in transaction, idle in transaction (aborted), fastpath function call or disabled.
    `xid_age` is known where the session has written, `xmin_age` where it holds back vacuum; both in transactions.
    """

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
    wait_event_type: str | None
    wait_event: str | None
    query_id: int | None
    xid_age: int | None
    xmin_age: int | None
    own: bool
    query: StatementText

    @property
    def key(self) -> str:
        return session_key(self.pid, self.backend_start)

    @property
    def client_backend(self) -> bool:
        """Whether it is a client's connection: no walsender, autovacuum or parallel worker."""
        return self.backend_type == "client backend"

    @property
    def idle_in_transaction(self) -> bool:
        return self.state.startswith("idle in transaction")


class SessionGroup(NamedTuple):
    """Client connections that share database, user, application and state."""

    database: str
    user_name: str
    application: str
    state: str
    sessions: int
    longest_state_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityReading:
    """`groups` counts every client connection; `sessions` details those that work or hold a transaction."""

    sessions: tuple[Session, ...]
    groups: tuple[SessionGroup, ...]
    max_connections: int
    reserved: int

    @property
    def usable(self) -> int:
        """Slots that an ordinary role can get."""
        return max(1, self.max_connections - self.reserved)

    @property
    def connections(self) -> int:
        return sum(group.sessions for group in self.groups)

    @property
    def hidden(self) -> int:
        """Sessions that our role may not see; nothing can be said about them but that they are there."""
        return sum(group.sessions for group in self.groups if group.state == HIDDEN)

    def by_state(self) -> dict[str, int]:
        """Client connections by state."""
        counts: dict[str, int] = {}
        for group in self.groups:
            counts[group.state] = counts.get(group.state, 0) + group.sessions
        return counts


SESSIONS = Query(
    name="activity_sessions",
    row=Session,
    columns=(
        Column("pid", "pid"),
        Column("backend_start", "backend_start", "When it connected.", "timestamp"),
        Column("backend_type", "backend_type"),
        Column("database", "datname", "The database it is connected to."),
        Column("user_name", "coalesce(usename, '')", "The role that logged in."),
        Column("application", "coalesce(application_name, '')", "application_name, as the client set it."),
        Column("client", "coalesce(host(client_addr), 'local')", "Client address; `local` is a Unix socket."),
        Column("state", "state"),
        Column(
            "state_age_s",
            "extract(epoch FROM clock_timestamp() - state_change)::float8",
            "How long it is in this state.",
            "s",
        ),
        Column(
            "xact_age_s",
            "extract(epoch FROM clock_timestamp() - xact_start)::float8",
            "Age of its transaction.",
            "s",
        ),
        Column(
            "query_age_s",
            "extract(epoch FROM clock_timestamp() - query_start)::float8",
            "Time since its last statement began.",
            "s",
        ),
        Column("wait_event_type", "wait_event_type"),
        Column("wait_event", "wait_event"),
        Column(
            "query_id",
            "query_id",
            "Identifier of the statement.",
            needs="pg_stat_activity.query_id",
            otherwise="NULL::bigint",
        ),
        Column("xid_age", "age(backend_xid)", "Transactions begun since its own got an id.", "count"),
        Column("xmin_age", "age(backend_xmin)", "Transactions that vacuum must keep for it.", "count"),
        Column(
            "own",
            "(starts_with(application_name, 'pgvigil') AND usename = current_user)",
            "Whether it is one of pgvigil's own.",
            "flag",
        ),
        Column("query", start_of("query", 4096), "Its last statement, cut; with literals."),
    ),
    source="""
    FROM pg_stat_activity
    WHERE datid IS NOT NULL AND backend_start IS NOT NULL AND backend_type IS NOT NULL
      AND (state <> 'idle' OR xact_start IS NOT NULL)
    """,
)

GROUPS = Query(
    name="activity_groups",
    row=SessionGroup,
    columns=(
        Column("database", "coalesce(datname, '')"),
        Column("user_name", "coalesce(usename, '')"),
        Column("application", "coalesce(application_name, '')"),
        Column("state", "CASE WHEN backend_type IS NULL THEN 'hidden' ELSE coalesce(state, 'starting') END"),
        Column("sessions", "count(*)", "Client connections.", "count"),
        Column(
            "longest_state_s",
            "max(extract(epoch FROM clock_timestamp() - state_change))::float8",
            "Longest time in this state.",
            "s",
        ),
    ),
    # Without the right to see others a session has no type: those of a logged-in role are counted as hidden.
    source="""
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL)
    GROUP BY 1, 2, 3, 4
    """,
)


def _read(reader: Reader) -> ActivityReading:
    return ActivityReading(
        sessions=reader.rows(SESSIONS),
        groups=reader.rows(GROUPS),
        max_connections=reader.facts.max_connections,
        reserved=reader.facts.reserved_connections,
    )


def _active(reading: ActivityReading) -> list[Session]:
    """What the server works on: statements that run, parallel workers and autovacuum, without pgvigil's own."""
    return [each for each in reading.sessions if each.state == "active" and not each.own]


# Bounded: the server's own names. A session that waits for nothing is on a CPU, or wants to be.
_WAITS: dict[str, Callable[[Session], str]] = {
    "wait_event_type": lambda session: session.wait_event_type or "CPU",
    "wait_event": lambda session: session.wait_event or "CPU",
}

COLLECTOR = Collector(
    name="activity",
    summary="Sessions by state, what they wait for, long and idle transactions, connection slots",
    lane=LaneKind.SERVER,
    interval_s=10.0,
    timeout_s=5.0,
    fixed_pace=True,
    queries=(SESSIONS, GROUPS),
    read=_read,
    tables={
        SESSIONS.name: lambda reading: reading.sessions,
        GROUPS.name: lambda reading: reading.groups,
    },
    families=(
        Family(
            name="connections",
            help="Client connections.",
            rows=lambda reading: (reading,),
            value=lambda reading: reading.connections,
        ),
        Family(
            name="connection_slots",
            help="Connection slots that an ordinary role can get: max_connections without the reserved ones.",
            rows=lambda reading: (reading,),
            value=lambda reading: reading.usable,
        ),
        Family(
            name="active_sessions",
            help="Sessions that run a statement, by what they wait for; CPU: for nothing.",
            rows=_active,
            value=lambda _: 1,
            labels=_WAITS,
        ),
        Family(
            name="wait_samples",
            help="Samples of active sessions by what they waited for, one of each session at each reading.",
            rows=_active,
            value=lambda _: 1,
            labels=_WAITS,
            summed=True,
        ),
    ),
)
