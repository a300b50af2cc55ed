"""The collector `collations` on real servers."""

from contextlib import closing

import pytest

from collectors.collations import COLLECTOR, CollationsReading
from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.collations import age, ordered_database, versioned
from tests.support.reporting import not_run
from tests.support.servers import Database


@pytest.fixture
def collation(each_database: Database) -> str:
    name = versioned(each_database)
    if name is None:
        not_run("this server has no collation with a version", mendable=False)
    each_database.execute(
        f"CREATE TABLE people (id int, name text COLLATE {name}, other text COLLATE {name}, plain text);"
        "CREATE UNIQUE INDEX people_name ON people (name); CREATE INDEX people_plain ON people (plain);"
        "CREATE INDEX people_other ON people (id, other) WHERE id > 0;"
        "CREATE INDEX people_hash ON people USING hash (name);"
        "CREATE INDEX people_pattern ON people (name text_pattern_ops);"
        f"CREATE TABLE ranges (name text COLLATE {name}) PARTITION BY RANGE (name);"
        f"CREATE TABLE lists (name text COLLATE {name}) PARTITION BY LIST (name);"
    )
    return name


def test_nothing_is_told_while_versions_are_the_same(reader: Session, collation: str) -> None:
    assert collation
    assert COLLECTOR.read(reader) == CollationsReading()


def test_a_collation_of_another_version_is_told_with_what_depends_on_its_order(
    reader: Session, each_database: Database, collation: str
) -> None:
    age(each_database, collation)
    found = COLLECTOR.read(reader)
    (drift,) = found.drifted
    assert (drift.name, drift.recorded, drift.of_database) == (collation.strip('"'), "2.28-1", False)
    assert drift.actual
    assert drift.actual != drift.recorded
    assert [(each.name, each.relation, each.unique, each.total) for each in found.indexes] == [
        ("people_name", "people", True, 2),
        ("people_other", "people", False, 2),
    ]
    assert all(each.collations == [drift.oid] and each.size_bytes >= 0 for each in found.indexes)
    assert [each.name for each in found.partitioned] == ["ranges"]


def test_a_collation_that_nothing_uses_is_not_asked_for(reader: Session, each_database: Database) -> None:
    name = versioned(each_database)
    if name is not None:
        age(each_database, name)
    assert COLLECTOR.read(reader) == CollationsReading()


def test_a_locked_table_is_not_waited_for(reader: Session, each_database: Database, collation: str) -> None:
    age(each_database, collation)
    with each_database.connect() as other, other.transaction():
        other.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
        assert len(COLLECTOR.read(reader).indexes) == 2


def test_the_databases_own_collation_is_told(each_database: Database) -> None:
    if each_database.server.version_num < 170000:
        not_run("before 17 no server here has a database collation with a version", mendable=False)
    with ordered_database(each_database.server, f"{each_database.name}_o") as database:
        database.execute("CREATE TABLE t (name text PRIMARY KEY)")
        with closing(watching.watch(database.dsn())) as session:
            found = COLLECTOR.read(session)
    assert [(each.of_database, each.provider, each.recorded) for each in found.drifted] == [
        (True, "PostgreSQL", "0.9")
    ]
    assert [each.name for each in found.indexes] == ["t_pkey"]
