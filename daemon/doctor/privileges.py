"""What the role may not do."""

import re
from collections.abc import Mapping

from collectors.settings import Role
from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure
from pgvigil.problems import Problem
from pgvigil.sql.grants import CONNECTIONS, grant_after
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.text import one_line

USED = 3  # the server lane, the databases lane, and the heavy one while it is used

_CLOSED = re.compile(r'permission denied for database "(.+?)"')
_NO_CONSOLE = ": not allowed"  # PgBouncer's words
_USED_UP = re.compile(r'too many connections for role "(.+?)"')


def not_pg_monitor(target: str, facts: Facts) -> Problem | None:
    """None where the role sees everything."""
    if facts.monitor:
        return None
    role = quote_identifier(facts.role)
    return Problem(
        slug="not-pg-monitor",
        sentence=f"{target}: role {role} is not a member of pg_monitor,"
        " so sessions and statements of other roles are hidden.",
        why="Blocked sessions, long transactions and slow statements of other roles cannot be seen; what depends on"
        " them is unknown rather than well.",
        fix=f"GRANT pg_monitor TO {role};",
        target=target,
    )


def privilege_missing(
    target: str,
    collector: str,
    database: str | None,
    message: str,
    role: str,
    schemas: Mapping[str, str] | None = None,
) -> Problem:
    """The server refused what `collector` asked. `schemas` says where the extensions' objects are."""
    where = "" if database is None else f" in database {one_line(database, 63)}"
    grant = grant_after(message, role, schemas or {})
    return Problem(
        slug="privilege-missing",
        sentence=f"{target}: role {quote_identifier(role)} may not read what {collector} needs{where}: {message}.",
        why="That one collector is switched off by it; the others go on. `pgvigil grants` prints the least that"
        " pgvigil needs.",
        fix=f"{grant};"
        if grant
        else "Grant the role what the error names; `pgvigil grants --tier watch` prints it.",
        target=target,
    )


def connect_missing(target: str, database: str, role: str) -> Problem:
    """The role lacks CONNECT on a database that is to be watched."""
    name, who = quote_identifier(database), quote_identifier(role)
    return Problem(
        slug="connect-missing",
        sentence=f"{target}: role {who} may not connect to the database {name}, so nothing in it is checked.",
        why="Constraints, indexes and names of relations are read inside each database.",
        fix=f"GRANT CONNECT ON DATABASE {name} TO {who};",
        target=target,
    )


def closed_database(message: str) -> str | None:
    """The database that the server did not let the role connect to, where that is what it said."""
    closed = _CLOSED.search(message)
    return None if closed is None else closed[1]


def refused(target: str, failure: Failure, role: str) -> Problem | None:
    """What a refused connection says of privileges and limits; `role` is who we are, "" where that is not known."""
    closed = closed_database(failure.message)
    if closed is not None and role:
        return connect_missing(target, closed, role)
    if failure.message.endswith(_NO_CONSOLE):
        return _not_stats_user(target, role)
    used_up = _USED_UP.search(failure.message)
    return None if used_up is None else _connections_used_up(target, used_up[1])


def _not_stats_user(target: str, user: str) -> Problem:
    name = one_line(user, 63) or "of the dsn"
    return Problem(
        slug="not-stats-user",
        sentence=f"{target}: PgBouncer does not let the user {name} into its admin console.",
        why="The user may log in, and is in neither stats_users nor admin_users. stats_users is enough: it may look,"
        " and change nothing.",
        fix=f"Add {name if user else 'that user'} to stats_users in pgbouncer.ini, and reload PgBouncer.",
        target=target,
    )


def _connections_used_up(target: str, role: str) -> Problem:
    return Problem(
        slug="connection-limit-small",
        sentence=f"{target}: all connections that role {quote_identifier(role)} may have are in use.",
        fix=f"ALTER ROLE {quote_identifier(role)} CONNECTION LIMIT {CONNECTIONS};",
        target=target,
    )


def connection_limit_small(target: str, role: Role) -> Problem | None:
    if not 0 <= role.connection_limit < USED:
        return None
    name = quote_identifier(role.name)
    return Problem(
        slug="connection-limit-small",
        sentence=f"{target}: role {name} may have {role.connection_limit} connections at once,"
        f" and pgvigil uses up to {USED}.",
        why="One connection reads the server's views, one goes from database to database, and one is opened for work"
        " that takes long; with fewer, readings fail as if the server were full.",
        fix=f"ALTER ROLE {name} CONNECTION LIMIT {CONNECTIONS};",
        target=target,
    )
