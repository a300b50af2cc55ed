"""pending_restart: a change that only a restart brings is told until it is brought or taken back."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.polling import poll
from tests.support.vitals import Vitals


def test_a_change_that_waits_is_told_until_the_restart(
    own_server: ScratchServer, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"pending_restart": {}, "setting_changed": {}})
    with closing(watching.watch(own_server.dsn())) as session:
        scene.look(session)
        assert scene.open == {}
        with psycopg.connect(own_server.dsn(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET max_wal_senders = 3")
            admin.execute("ALTER SYSTEM SET work_mem = '5MB'")
            admin.execute("SELECT pg_reload_conf()")

        def told() -> bool:
            scene.look(session, after_s=300)
            return "pending restart" in scene.firing

        poll(told, 10, message="the change is seen to wait")
        incident = scene.firing["pending restart"]
        assert incident.severity is Level.INFO
        assert incident.summary == "1 changed setting waits for a restart: max_wal_senders"
        assert "max_wal_senders  10" in incident.evidence.blocks[0].text
    own_server.restart()
    with closing(watching.watch(own_server.dsn())) as session:
        scene.look(session, after_s=300)
        assert "from 10 to 3" in scene.firing["setting max_wal_senders"].summary
        assert "pending restart" not in scene.open
