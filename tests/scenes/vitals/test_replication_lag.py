"""replication_lag: by positions and not by clocks; where the log waits; none on an idle primary."""

from collections.abc import Callable

import psycopg

from collectors.replication import COLLECTOR
from collectors.wal_receiver import COLLECTOR as WAL_RECEIVER
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.pairs import caught_up, start_pair, watched
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals


def write(writer: psycopg.Connection[tuple[object, ...]], megabytes: int) -> None:
    writer.execute("CREATE TABLE IF NOT EXISTS filler (line text)")
    writer.execute(
        "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, %s)", [megabytes * 1000]
    )


def outstanding(session: Session) -> int:
    return max((each.behind_bytes or 0 for each in COLLECTOR.read(session).replicas.values()), default=0)


def test_a_paused_replay_lags_and_an_idle_primary_does_not(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    """Both sides tell: the primary what is not replayed, the standby (its primary not being watched) the same."""
    primary, standby = start_pair(start_server)
    rules = {"replication_lag": {"min_behind": "1MB"}}
    scene, own = vitals(rules), vitals(rules, target="standby")
    with (
        watched(primary, standby) as (session, there),
        psycopg.connect(primary.dsn(), autocommit=True) as writer,
        psycopg.connect(standby.dsn(), autocommit=True) as admin,
    ):
        write(writer, 1)
        caught_up(primary, standby)
        poll(lambda: outstanding(session) == 0, 20)
        for _ in range(3):  # idle for hours
            scene.look(session, after_s=3600)
            own.look(there, after_s=3600)
        assert (scene.open, own.open) == ({}, {})

        admin.execute("SELECT pg_wal_replay_pause()")
        write(writer, 3)
        poll(lambda: (WAL_RECEIVER.read(there).standby.unreplayed_bytes or 0) > 2_000_000, 20)
        poll(lambda: outstanding(session) > 2_000_000, 20)
        scene.look(session, after_s=10)
        own.look(there, after_s=10)
        assert (scene.open, own.open) == ({}, {})  # it has only just begun
        for after_s in (40, 61):
            scene.look(session, after_s=after_s)
            own.look(there, after_s=after_s)
        (told,) = scene.firing.values()
        assert told.severity is Level.WARNING
        assert told.summary.startswith("Standby walreceiver at 127.0.0.1 is 1m41s behind (")
        assert told.summary.endswith(": not replayed")
        assert own.firing["this standby"].summary.endswith("; its replay is paused")
        scene.look(session, after_s=300)
        assert next(iter(scene.firing.values())).severity is Level.CRITICAL

        admin.execute("SELECT pg_wal_replay_resume()")
        caught_up(primary, standby)
        poll(lambda: outstanding(session) == 0, 20)
        for after_s in (10, 61):
            scene.look(session, after_s=after_s)
            own.look(there, after_s=after_s)
        assert (scene.open, own.open) == ({}, {})
