"""dangerous_setting: what loses data is critical, what was meant is not told."""

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import throwaway, watching
from tests.support.polling import poll
from tests.support.servers import Database, StartServer
from tests.support.vitals import Vitals

QUIET = throwaway.PARAMS["dangerous_setting"]


def in_force(server: ScratchServer, settings: dict[str, str]) -> None:
    server.reload(settings)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name, value in settings.items():

            def taken(name: str = name, value: str = value) -> bool:
                return admin.execute(f"SHOW {name}").fetchone() == (value,)

            poll(taken, 10, message=f"{name} is {value}")


def test_settings_that_lose_data_are_critical_until_they_are_set_back(
    own_server: ScratchServer, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"dangerous_setting": {}})
    in_force(
        own_server, {"autovacuum": "off", "password_encryption": "scram-sha-256"}
    )  # md5 by default in 13
    with closing(watching.watch(own_server.dsn())) as session:
        scene.look(session)
        assert {subject: each.severity for subject, each in scene.firing.items()} == {
            "setting fsync": Level.CRITICAL,
            "setting full_page_writes": Level.CRITICAL,
            "setting autovacuum": Level.WARNING,
            "setting synchronous_commit": Level.INFO,
        }
        assert scene.firing["setting fsync"].summary == "fsync is off"
        safe = ("fsync", "full_page_writes", "autovacuum", "synchronous_commit")
        in_force(own_server, dict.fromkeys(safe, "on"))
        look_until_read(scene, session)
    assert scene.open == {}


def look_until_read(scene: Vitals, session: Session) -> None:
    """The session's own process reads its configuration between two statements."""

    def read() -> bool:
        scene.look(session, after_s=300)
        return not scene.open

    poll(read, 10, message="the session has read its configuration")


@pytest.mark.parametrize("whose", ["database", "role", "role in database"])
def test_sessions_that_begin_without_foreign_keys_are_told_and_the_step_mends_it(
    whose: str, database: Database, vitals: Callable[..., Vitals]
) -> None:
    role = f'"etl {database.name}"'
    own = {
        "database": f"DATABASE {database.name}",
        "role": f"ROLE {role}",
        "role in database": f"ROLE {role} IN DATABASE {database.name}",
    }[whose]
    scene = vitals({"dangerous_setting": QUIET})
    database.execute(f"CREATE ROLE {role}")
    try:
        with closing(watching.watch(database.dsn())) as session:
            database.execute(f"ALTER {own} SET session_replication_role = replica")
            scene.look(session)
            [told] = [each for each in scene.firing.values() if database.name in each.subject]
            assert (told.severity, told.summary[:36]) == (
                Level.WARNING,
                "session_replication_role is replica ",
            )
            database.execute(next(step.sql for step in told.steps if step.sql))
            scene.look(session, after_s=300)
            assert told.subject not in scene.open
    finally:
        database.execute(f"DROP ROLE {role}")


def test_what_was_meant_is_ignored_and_can_weigh_more(
    database: Database, vitals: Callable[..., Vitals]
) -> None:
    ignored = vitals({"dangerous_setting": QUIET})
    with closing(watching.watch(database.dsn())) as session:
        ignored.look(session)
        assert {"setting fsync", "setting full_page_writes"}.isdisjoint(ignored.open)
        weighed = vitals(
            {"dangerous_setting": {"severities": {"synchronous_commit": "warning"}}}, target="bank"
        )
        weighed.look(session)
        assert weighed.firing["setting synchronous_commit"].severity is Level.WARNING


def test_an_archive_that_keeps_nothing_is_told(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    archive = {"archive_mode": "on", "archive_command": "/bin/true"}
    scene = vitals({"dangerous_setting": QUIET})
    with closing(watching.watch(start_server(settings=archive).dsn())) as session:
        scene.look(session)
        assert scene.firing["setting archive_command"].summary == "archive_command is /bin/true"
