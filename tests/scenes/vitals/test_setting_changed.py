"""setting_changed: what was changed, from what to what and when, for a day; never a secret."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from collectors.settings import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.polling import poll
from tests.support.servers import Database
from tests.support.vitals import Vitals

DAY_S = 86400.0


def reloaded(server: ScratchServer, session: Session, name: str, value: str) -> None:
    """The setting, once the session's own process has read it."""
    before = COLLECTOR.read(session).settings[name].value
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        admin.execute("SELECT pg_reload_conf()")
    poll(lambda: COLLECTOR.read(session).settings[name].value != before, 10, message=f"{name} changed")


def test_a_change_is_told_with_old_and_new_for_a_day(
    own_server: ScratchServer, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"setting_changed": {}})
    with closing(watching.watch(own_server.dsn())) as session:
        scene.look(session)
        reloaded(own_server, session, "autovacuum_naptime", "77")
        reloaded(own_server, session, "archive_cleanup_command", "scp --password hunter2 %p vault:")
        assert scene.open == {}
        scene.look(session, after_s=300)
        told = scene.firing["setting autovacuum_naptime"]
        assert told.severity is Level.INFO
        assert told.summary.startswith("autovacuum_naptime was changed from 1min to 77s between ")
        hidden = scene.firing["setting archive_cleanup_command"]
        assert 'from "" to (hidden, ' in hidden.summary
        assert "hunter2" not in repr(hidden)
        reloaded(own_server, session, "autovacuum_naptime", "60")
        scene.look(session, after_s=300)
        assert "from 77s to 1min" in scene.firing["setting autovacuum_naptime"].summary
        scene.look(session, after_s=DAY_S + 1)
        assert scene.open == {}


def test_what_a_database_or_role_was_given_is_told(database: Database, vitals: Callable[..., Vitals]) -> None:
    scene = vitals({"setting_changed": {}})
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
        database.execute(f"ALTER DATABASE {database.name} SET work_mem = '1GB'")
        scene.look(session, after_s=300)
        subject = f"setting work_mem in database {database.name}"
        assert "was changed from (none) to 1GB" in scene.firing[subject].summary
        database.execute(f"ALTER DATABASE {database.name} RESET work_mem")
        scene.look(session, after_s=300)
        assert "was changed from 1GB to (none)" in scene.firing[subject].summary
        scene.look(session, after_s=DAY_S + 1)
        assert subject not in scene.open


def test_nothing_is_told_while_nothing_changes(database: Database, vitals: Callable[..., Vitals]) -> None:
    """Neither by another session, whose settings are its own, nor by one that has loaded another library."""
    scene = vitals({"setting_changed": {}})
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
    with closing(watching.watch(database.dsn(application_name="other"))) as session:
        scene.look(session, after_s=300)
        database.execute("LOAD 'auto_explain'")
        scene.look(session, after_s=300)
    mine = [subject for subject in scene.open if "database t_" not in subject]
    assert mine == []
