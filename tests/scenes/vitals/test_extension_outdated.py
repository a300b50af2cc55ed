"""extension_outdated: told where a database has another version than the files; the step brings it up to date."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals


def test_an_old_version_is_told_until_it_is_updated(
    database: Database, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"extension_outdated": {}})
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
        assert scene.open == {}
        database.execute("CREATE EXTENSION pg_stat_statements VERSION '1.7'")
        scene.look(session, after_s=3600)
        told = scene.firing["extension pg_stat_statements"]
        assert (told.severity, told.database) == (Level.INFO, database.name)
        assert told.summary.startswith("Extension pg_stat_statements is 1.7 here, and the server has 1.")
        look, update = (step.sql for step in told.steps)
        assert len(database.execute(look)) == 1
        database.execute(update)
        scene.look(session, after_s=3600)
    assert scene.open == {}


def test_files_that_are_gone_are_told(database: Database, vitals: Callable[..., Vitals]) -> None:
    scene = vitals({"extension_outdated": {}})
    database.execute("CREATE EXTENSION pg_stat_statements")
    database.execute("UPDATE pg_extension SET extname = 'it''s gone' WHERE extname = 'pg_stat_statements'")
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
    (told,) = scene.firing.values()
    assert told.summary.endswith("the server has no files of it")
    assert database.execute(told.steps[0].sql)
