"""collation_drift: told with the indexes that it may have corrupted; its steps, in their order, mend it."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from pgvigil.model.facts import Facts
from pgvigil.model.level import Level
from tests.support import watching
from tests.support.collations import age, versioned
from tests.support.reporting import not_run
from tests.support.servers import Database
from tests.support.vitals import Vitals


def a_versioned_collation(database: Database) -> str:
    name = versioned(database)
    if name is None:
        not_run("this server has no collation with a version", mendable=False)
    return name


def test_the_steps_mend_it(database: Database, vitals: Callable[..., Vitals]) -> None:
    collation = a_versioned_collation(database)
    scene = vitals({"collation_drift": {}})
    database.execute(f'CREATE TABLE "Pe ople" (name text COLLATE {collation} UNIQUE)')
    with closing(watching.watch(database.dsn())) as session:
        scene.look(session)
        assert scene.open == {}
        age(database, collation)
        scene.look(session, after_s=3600)
        told = scene.firing[f"collation pg_catalog.{collation}"]
        assert told.severity is Level.WARNING
        assert "was built with version 2.28-1, the server has " in told.summary
        assert told.summary.endswith(": 1 index (8.0 kB), 1 unique may be corrupt")
        commands = [step.sql for step in told.steps if step.sql]
        assert [command.split()[0] for command in commands] == ["REINDEX", "ALTER"]
        for command in commands:
            database.execute(command)
        scene.look(session, after_s=3600)
    assert scene.open == {}


@dataclass
class Primary:
    """Another target, of the same cluster."""

    facts: Facts
    reading: Any
    up: bool = True
    name: str = "primary"

    def latest(self, _feed: str, _database: str | None = None) -> Any:
        return self.reading


def test_a_standby_tells_only_what_differs_from_its_primary(
    database: Database, vitals: Callable[..., Vitals]
) -> None:
    collation = a_versioned_collation(database)
    database.execute(f"CREATE TABLE people (name text COLLATE {collation} UNIQUE)")
    age(database, collation)
    with closing(watching.watch(database.dsn())) as session:
        on_primary = vitals({"collation_drift": {}}, target="primary").look(session)["collations"]
        primary = Primary(session.facts, on_primary)
        scene = vitals({"collation_drift": {}}, peers=lambda: (primary,))
        session._facts = replace(session.facts, in_recovery=True)
        scene.look(session)
        assert scene.open == {}
        same = on_primary.rows.drifted[0]
        primary.reading = replace(
            on_primary, rows=replace(on_primary.rows, drifted=(same._replace(actual="2.31"),))
        )
        scene.look(session, after_s=3600)
        (told,) = scene.firing.values()
        assert "another operating system than its primary" in told.evidence.cause
        assert [step.sql for step in told.steps] == [None, None]
