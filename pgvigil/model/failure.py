"""Why something could not be read."""

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Classes an engineer acts on differently; they are metric labels, so the list is closed."""

    REFUSED = "refused"
    DNS = "dns"
    TLS = "tls"
    AUTHENTICATION = "authentication"
    SILENT = "silent"  # connected or connecting, and no answer within the deadline
    STARTING_UP = "starting_up"
    SHUTTING_DOWN = "shutting_down"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    NO_DATABASE = "no_database"
    LOST = "lost"  # the connection broke in the middle
    PROTOCOL = "protocol"  # what answers is no PostgreSQL server, or is damaged on its way
    TIMEOUT = "timeout"  # statement_timeout: the server lives, the query was too slow
    LOCK_TIMEOUT = "lock_timeout"
    PRIVILEGE = "privilege"
    UNDEFINED = "undefined"  # a column, function or relation that the facts promised is not there
    MISSING = "missing"  # an extension or feature that the collector needs is not installed
    SQL = "sql"
    RESOURCES = "resources"  # pgvigil's own process ran out of descriptors, threads or memory
    BUG = "bug"  # our own code threw

    @property
    def means_down(self) -> bool:
        """True when no query can be answered at all, so that the target counts as down.

        Too many connections is a saturated server, not a dead one: connection_saturation reports it.
        """
        return self in _DOWN


_DOWN = frozenset(
    {
        FailureKind.REFUSED,
        FailureKind.DNS,
        FailureKind.TLS,
        FailureKind.AUTHENTICATION,
        FailureKind.SILENT,
        FailureKind.STARTING_UP,
        FailureKind.SHUTTING_DOWN,
        FailureKind.NO_DATABASE,
        FailureKind.LOST,
        FailureKind.PROTOCOL,
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt. `message` is safe to show: no DSN, no password, no literals."""

    kind: FailureKind
    message: str
    sqlstate: str | None = None
