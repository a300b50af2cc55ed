"""table_without_replica_identity: published, and every UPDATE and DELETE fails."""

import psycopg
import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.design import found, only, run_steps
from tests.support.servers import Database

CHECK = "table_without_replica_identity"


@pytest.fixture(autouse=True)
def table(each_database: Database) -> None:
    each_database.execute("CREATE TABLE t (a int, b int NOT NULL); INSERT INTO t VALUES (1, 1)")


def fails(database: Database, statement: str) -> bool:
    try:
        database.execute(statement)
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return True
    return False


@pytest.mark.parametrize("of", ["TABLE t", "ALL TABLES"])
def test_what_fails_is_told_and_mended(of: str, reader: Session, each_database: Database) -> None:
    assert found(CHECK, reader) == []
    each_database.execute(f"CREATE PUBLICATION everything FOR {of}")
    assert fails(each_database, "UPDATE t SET a = 2")
    finding = only(CHECK, reader)
    assert finding.subject == "table public.t"
    assert finding.level is Level.WARNING
    assert finding.summary == (
        "UPDATE and DELETE fail on public.t: it is published by everything and has no replica identity"
    )
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []
    assert not fails(each_database, "UPDATE t SET a = 2")


def test_the_tables_of_a_published_schema_are_told(reader: Session, each_database: Database) -> None:
    if reader.facts.version_num < 150000:
        pytest.skip("schemas are published from 15 on")
    each_database.execute(
        "CREATE SCHEMA s; CREATE TABLE s.u (a int); CREATE PUBLICATION p FOR TABLES IN SCHEMA s"
    )
    assert found(CHECK, reader) == ["table s.u"]


def test_what_publishes_rows_that_come_only_does_no_harm(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert, truncate')")
    assert not fails(each_database, "UPDATE t SET a = 2")
    assert found(CHECK, reader) == []


@pytest.mark.parametrize(
    "identity",
    [
        "ALTER TABLE t ADD PRIMARY KEY (b)",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "CREATE UNIQUE INDEX i ON t (b); ALTER TABLE t REPLICA IDENTITY USING INDEX i",
    ],
)
def test_an_identity_of_any_kind_will_do(identity: str, reader: Session, each_database: Database) -> None:
    each_database.execute(f"{identity}; CREATE PUBLICATION p FOR TABLE t")
    assert not fails(each_database, "UPDATE t SET a = 2")
    assert found(CHECK, reader) == []


@pytest.mark.parametrize(
    ("identity", "cause"),
    [
        ("ALTER TABLE t ADD PRIMARY KEY (b); ALTER TABLE t REPLICA IDENTITY NOTHING", "is set to NOTHING"),
        (
            "CREATE UNIQUE INDEX i ON t (b); ALTER TABLE t REPLICA IDENTITY USING INDEX i; DROP INDEX i",
            "the replica identity is gone",
        ),
        ("ALTER TABLE t ADD PRIMARY KEY (b) DEFERRABLE", "no primary key"),
        ("CREATE UNIQUE INDEX i ON t (b)", "no primary key"),
    ],
)
def test_what_is_no_identity_is_told_with_its_cause(
    identity: str, cause: str, reader: Session, each_database: Database
) -> None:
    each_database.execute(f"{identity}; CREATE PUBLICATION p FOR TABLE t")
    assert fails(each_database, "DELETE FROM t")
    finding = only(CHECK, reader)
    assert cause in finding.evidence.cause
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []
    assert not fails(each_database, "DELETE FROM t")


def test_a_unique_index_that_will_do_is_proposed(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE UNIQUE INDEX i ON t (b); CREATE PUBLICATION p FOR TABLE t")
    assert only(CHECK, reader).steps[0].sql == "ALTER TABLE public.t REPLICA IDENTITY USING INDEX i"


def test_partitions_are_told_as_their_parent(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE p (a int NOT NULL, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "INSERT INTO p VALUES (1, 1); CREATE PUBLICATION whole FOR TABLE p"
    )
    assert fails(each_database, "UPDATE p SET b = 2")
    finding = only(CHECK, reader)
    assert finding.subject == "table public.p"
    assert {"Partitions": "2 without an identity"}.items() <= {
        each.name: each.value for each in finding.evidence.figures
    }.items()
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []
    assert not fails(each_database, "UPDATE p SET b = 2")


def test_hostile_names_do_no_harm_and_the_commands_run(reader: Session, each_database: Database) -> None:
    each_database.execute(
        'CREATE TABLE "c\u202e%I""\n" (a int); CREATE PUBLICATION "p\u202e%s" FOR TABLE "c\u202e%I""\n"'.encode()
    )
    finding = only(CHECK, reader)
    assert finding.summary.isprintable()
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []
