"""A system library of another version, as the catalogue would show it after an upgrade."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.servers import Database, Server

_VERSIONED = """
    SELECT quote_ident(collname) FROM pg_collation
    WHERE pg_collation_actual_version(oid) IS NOT NULL AND collencoding IN (-1, 6) ORDER BY collname LIMIT 1
"""
_OWN = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"  # from 17 on; it has a version too


def versioned(database: Database) -> str | None:
    """A collation that has a version on this server, quoted; None where no library gives one."""
    found = database.execute(_VERSIONED)
    return found[0][0] if found else None


def age(database: Database, collation: str) -> None:
    """Its recorded version is another one now."""
    database.execute(
        "UPDATE pg_collation SET collversion = '2.28-1' WHERE quote_ident(collname) = %s", [collation]
    )


@contextmanager
def ordered_database(server: Server, name: str) -> Iterator[Database]:
    """A database with a collation of its own that has a version, which is another one now."""
    database = Database(name, server)
    with server.connect() as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {_OWN}")
        try:
            admin.execute("UPDATE pg_database SET datcollversion = '0.9' WHERE datname = %s", [name])
            yield database
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
