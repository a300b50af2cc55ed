"""Every deadline and limit of a connection, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds unless the name says otherwise. Tests shrink them; the defaults are for networks of any quality."""

    # Names are resolved before libpq is called, because libpq would block the whole process on a dead resolver.
    resolve_s: float = 3.0

    # A password command (a vault, a token service) that has not answered by then counts as failed.
    password_s: float = 10.0

    # One address: TCP, TLS and authentication together. A server that accepts and says nothing costs this much.
    connect_s: float = 5.0

    # All addresses of a target together: with many of them each gets its even share of this.
    connect_total_s: float = 15.0

    # statement_timeout where a collector does not bring its own.
    statement_s: float = 5.0

    # Our socket is shut down this long after statement_timeout should have ended the statement: enough for a
    # loaded server to say so by itself, short enough that a stopped server does not hold a worker.
    margin_s: float = 2.0

    # A server needs a few milliseconds to free the slot of a session that ended; a role with a limit of two
    # connections would be refused the next one meanwhile (measured: 8 % of the time on an idle machine).
    leave_s: float = 0.25

    # Catalog reads take ACCESS SHARE locks only; behind a queued ALTER TABLE we give up at once instead of waiting.
    lock_ms: int = 250

    # We hold no transaction open; if a defect of ours does, the server ends it.
    idle_in_transaction_s: float = 10.0

    # Default 4MB spills 420 temp blocks per read of 5,000 rows of pg_stat_statements; 16MB spills none.
    work_mem: str = "16MB"

    # The kernel's own detection of a dead peer, for a connection that waits between polls.
    keepalives_idle_s: int = 30
    keepalives_interval_s: int = 10
    keepalives_count: int = 3

    # Unacknowledged data older than this breaks the connection (Linux only, elsewhere ignored by libpq).
    tcp_user_timeout_ms: int = 15_000


LIMITS = Limits()
