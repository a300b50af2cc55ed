"""standby_conflicts: queries that a standby cancelled are told by cause."""

import threading
from collections.abc import Callable
from contextlib import closing
from typing import LiteralString

import psycopg

from collectors.database_stats import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.scratch.server import ScratchServer
from tests.support import pairs, watching
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

READERS = 5


def replayed(standby: ScratchServer, condition: LiteralString) -> None:
    with psycopg.connect(standby.dsn(), autocommit=True) as observer:
        poll(lambda: observer.execute(f"SELECT {condition}").fetchone() == (True,), 20, message=condition)


def cancel(primary: ScratchServer, standby: ScratchServer) -> None:
    """Five queries read a table on the standby when the primary drops it."""
    told: list[str | None] = []

    def read() -> None:
        with psycopg.connect(standby.dsn(), autocommit=True) as session:
            try:
                session.execute("SELECT count(*), pg_sleep(60) FROM sold")
            except psycopg.Error as error:
                told.append(error.sqlstate)

    with psycopg.connect(primary.dsn(), autocommit=True) as admin:
        admin.execute("CREATE TABLE sold (id int)")
        replayed(standby, "to_regclass('sold') IS NOT NULL")
        threads = [threading.Thread(target=read) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        with psycopg.connect(standby.dsn(), autocommit=True) as observer:
            running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            poll(lambda: observer.execute(running).fetchone() == (READERS,), 20, message="they read")
        admin.execute("DROP TABLE sold")
    for thread in threads:
        thread.join(30)
    assert told == ["40001"] * READERS


def conflicts(session: Session) -> int:
    return sum(row.conflicts for row in COLLECTOR.read(session).databases)


def test_cancelled_queries_are_told_on_the_standby_alone(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    primary, standby = pairs.start_pair(start_server, max_standby_streaming_delay="10ms")
    watched = watching.watch_dsn(primary.dsn())
    replayed(
        standby, "EXISTS (SELECT FROM pg_authid WHERE rolname LIKE '%watch%' AND rolpassword IS NOT NULL)"
    )
    port = psycopg.conninfo.conninfo_to_dict(standby.dsn())
    at_standby = psycopg.conninfo.make_conninfo(watched, host=port["host"], port=port["port"])
    scene, other = vitals({"standby_conflicts": {}}), vitals({"standby_conflicts": {}}, target="primary")
    with (
        closing(connect(Dsn.parse(at_standby))) as session,
        closing(connect(Dsn.parse(watched))) as above,
    ):
        scene.look(session)
        other.look(above)
        cancel(primary, standby)
        poll(lambda: conflicts(session) == READERS, 20, message="the conflicts are counted")
        scene.look(session, after_s=30)
        other.look(above, after_s=30)
        incident = scene.firing["recovery conflicts"]
        assert incident.severity is Level.WARNING
        assert incident.summary == (
            "5 queries cancelled on the standby in the last 10m: 5 by locks of the primary"
        )
        assert other.open == {}
        for _ in range(11):
            scene.look(session, after_s=60)
        assert scene.open == {}
