"""replication: who receives the log of a real primary, and how far each is."""

from contextlib import closing

import psycopg

from collectors.replication import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.pairs import caught_up, start_pair
from tests.support.polling import poll
from tests.support.servers import StartServer


def test_alone_nobody_receives(reader: Session) -> None:
    reading = COLLECTOR.read(reader)
    assert (reading.in_recovery, reading.hidden) == (False, False)
    assert reading.position is not None
    assert reading.position > 0


def test_a_standby_is_seen_with_what_it_has_not_replayed(start_server: StartServer) -> None:
    primary, standby = start_pair(start_server)
    with (
        closing(watching.watch(primary.dsn())) as session,
        psycopg.connect(primary.dsn(), autocommit=True) as writer,
        psycopg.connect(standby.dsn(), autocommit=True) as there,
    ):
        there.execute("SELECT pg_wal_replay_pause()")
        writer.execute("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
        (name,) = poll(lambda: COLLECTOR.read(session).replicas, 20, message="it streams")
        poll(lambda: (COLLECTOR.read(session).replicas[name].unreplayed_bytes or 0) > 1_000_000, 20)
        behind = COLLECTOR.read(session).replicas[name]
        assert (behind.state, behind.kind, behind.sync_state) == ("streaming", "physical", "async")
        assert (behind.behind_bytes or 0) >= (behind.unreplayed_bytes or 0)
        there.execute("SELECT pg_wal_replay_resume()")
        caught_up(primary, standby)
        poll(lambda: COLLECTOR.read(session).replicas[name].behind_bytes == 0, 20)
        assert set(COLLECTOR.journal(COLLECTOR.read(session))) == {name}  # type: ignore[misc]
