"""Up means that a real server answered a real query."""

from contextlib import closing
from datetime import datetime
from typing import Any

import psycopg

from collectors.availability import COLLECTOR
from pgvigil.model.availability import Availability
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import connect
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.servers import Server


def test_a_primary_is_up_since_its_start(each_server: Server) -> None:
    with closing(watching.watch(each_server.dsn())) as session, each_server.connect() as admin:
        (started_at,) = admin.execute("SELECT pg_postmaster_start_time()").fetchone() or (None,)
        before, read, after = clock(admin), COLLECTOR.read(session), clock(admin)
        assert read.server_at is not None
        assert before <= read.server_at <= after
        assert read == Availability(
            up=True, started_at=started_at, in_recovery=False, monitor=True, server_at=read.server_at
        )


def test_a_promotion_is_seen_by_the_session_that_saw_the_standby(own_server: ScratchServer) -> None:
    dsn = watching.watch_dsn(own_server.dsn())
    own_server.stop()
    (own_server.data / "standby.signal").touch()
    own_server.start_again()
    with closing(connect(Dsn.parse(dsn))) as session:
        assert session.facts.in_recovery
        assert COLLECTOR.read(session).in_recovery
        promote(own_server)
        assert COLLECTOR.read(session).in_recovery is False


def clock(admin: psycopg.Connection[tuple[Any, ...]]) -> datetime:
    """The time by the server."""
    [(now,)] = admin.execute("SELECT clock_timestamp()").fetchall()
    assert isinstance(now, datetime)
    return now


def promote(server: ScratchServer) -> None:
    """Waits until the server is a primary."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        assert admin.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)
