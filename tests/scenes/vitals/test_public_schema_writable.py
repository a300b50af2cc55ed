"""public_schema_writable: told while everyone may create there; the step closes it."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals


def test_an_open_schema_is_told_until_it_is_closed(database: Database, vitals: Callable[..., Vitals]) -> None:
    scene = vitals({"public_schema_writable": {}})
    database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is from 15 on
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
        assert scene.open == {}
        database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        database.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
        scene.look(session, after_s=3600)
        told = scene.firing["schema public"]
        assert told.severity is Level.INFO
        assert told.summary == "Everyone may create objects in schema public"
        assert told.evidence.figures[-1].value == "1 SECURITY DEFINER function without a search_path"
        for step in told.steps:
            database.execute(step.sql)
        scene.look(session, after_s=3600)
    assert scene.open == {}
