"""slot_lost: a slot whose log was removed is critical until it is dropped, and one incident with all that follows."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from collectors.replication_slots import COLLECTOR
from pgvigil.model.level import Level
from tests.support import watching
from tests.support.servers import StartServer
from tests.support.vitals import Vitals


def test_a_slot_beyond_its_limit_is_lost(start_server: StartServer, vitals: Callable[..., Vitals]) -> None:
    small = {"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    server = start_server(settings=small)
    scene = vitals({"slot_lost": {}, "slot_retention": {"for": "0s"}, "slot_inactive": {"for": "0s"}})
    with (
        closing(watching.watch(server.dsn())) as session,
        psycopg.connect(server.dsn(), autocommit=True) as admin,
    ):
        admin.execute("SELECT pg_create_physical_replication_slot('gone', true)")
        scene.look(session)
        assert scene.loud == []
        for _ in range(4):
            admin.execute("SELECT pg_logical_emit_message(false, 'filler', 'x'), pg_switch_wal()")
        admin.execute("CHECKPOINT")
        assert COLLECTOR.read(session).slots[0].lost
        scene.look(session, after_s=30)
        (told,) = [each for each in scene.engine.open() if each.rule == "slot_lost"]
        assert told.severity is Level.CRITICAL
        assert told.summary == "Slot gone is lost (wal_removed): its standby cannot go on"
        assert [each.rule for each in scene.engine.open() if each.parent_id is None] == ["slot_lost"]
        admin.execute("SELECT pg_drop_replication_slot('gone')")
        scene.look(session, after_s=301)
        scene.look(session, after_s=301)
        assert scene.open == {}
