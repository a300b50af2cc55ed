"""Logical replication between two databases of one real server."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.servers import StartServer


def start_publisher(start: StartServer, **settings: str) -> ScratchServer:
    """A server with databases `here` and `there`; both have table `orders`, and `here` publishes it."""
    logical = {"wal_level": "logical", "max_wal_senders": "8", "wal_retrieve_retry_interval": "100ms"}
    server = start(settings={**logical, **settings})
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE here")
        admin.execute("CREATE DATABASE there")
    for name in ("here", "there"):
        with psycopg.connect(server.dsn(name), autocommit=True) as admin:
            admin.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    with psycopg.connect(server.dsn("here"), autocommit=True) as admin:
        admin.execute("CREATE PUBLICATION shop FOR TABLE orders")
        admin.execute("SELECT pg_create_logical_replication_slot('shop', 'pgoutput')")
    return server


@contextmanager
def subscribed(server: ScratchServer, options: str = "") -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A superuser's connection to `there`, which subscribes to what `here` publishes, as `shop`."""
    with psycopg.connect(server.dsn("there"), autocommit=True) as admin:
        admin.execute(
            f"CREATE SUBSCRIPTION shop CONNECTION '{server.dsn('here').replace(chr(39), '')}' PUBLICATION shop"
            f" WITH (create_slot = false, slot_name = 'shop'{options})"
        )
        yield admin
