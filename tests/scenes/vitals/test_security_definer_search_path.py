"""security_definer_search_path: a warning where everyone can become superuser, info elsewhere."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals

CREATE = "CREATE FUNCTION \"Pay roll\"(a int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"


def test_a_superusers_function_is_a_warning_until_it_has_a_path_of_its_own(
    database: Database, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"security_definer_search_path": {}})
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
        assert scene.open == {}
        database.execute(CREATE)
        scene.look(session, after_s=3600)
        told = scene.firing["security definers"]
        assert told.severity is Level.WARNING
        assert told.summary == (
            "1 SECURITY DEFINER function without a search_path of its own, 1 of them a superuser's that everyone may call"
        )
        database.execute('REVOKE EXECUTE ON FUNCTION "Pay roll"(int) FROM PUBLIC')
        scene.look(session, after_s=3600)
        assert scene.firing["security definers"].severity is Level.INFO
        look, alter = (step for step in told.steps if step.sql)
        assert look.sql is not None
        assert database.execute(look.sql) == [("SELECT 1",)]
        assert "a proposal to check" in alter.text
        opened = "Everyone may create objects in public" in alter.text
        assert opened == (database.server.version_num < 150000)
        database.execute(alter.sql or "")
        scene.look(session, after_s=3600)
    assert scene.open == {}


def test_what_was_meant_is_ignored(database: Database, vitals: Callable[..., Vitals]) -> None:
    scene = vitals({"security_definer_search_path": {"ignore": ["public.Pay roll"]}})
    database.execute(CREATE)
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
    assert scene.open == {}
