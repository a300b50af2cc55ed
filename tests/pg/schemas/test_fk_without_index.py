"""fk_without_index: a delete on the other side reads the whole table, and how much that is in a day."""

from collections.abc import Sequence

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.design import found, only, run_steps
from tests.support.polling import poll
from tests.support.servers import Database

CHECK = "fk_without_index"
ANY_SIZE = {"min_size": "0B"}


@pytest.fixture(autouse=True)
def tables(each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE parent (id int PRIMARY KEY, x int, y int, UNIQUE (x, y));"
        "CREATE TABLE child (id int PRIMARY KEY, parent_id int CONSTRAINT fk REFERENCES parent, x int, y int)"
    )


def test_a_foreign_key_without_an_index_is_told(reader: Session, each_database: Database) -> None:
    finding = only(CHECK, reader, ANY_SIZE)
    assert finding.subject == "foreign key public.child.fk"
    assert finding.level is Level.INFO
    assert finding.summary == "Foreign key fk of public.child (0 bytes) has no index on (parent_id)"
    assert finding.evidence.blocks[0].text == "FOREIGN KEY (parent_id) REFERENCES public.parent(id)"
    run_steps(each_database, finding)
    assert found(CHECK, reader, ANY_SIZE) == []


def test_a_small_table_is_not_told(reader: Session, each_database: Database) -> None:
    assert found(CHECK, reader) == []
    each_database.execute("UPDATE pg_class SET relpages = 2000 WHERE relname = 'child'")
    assert found(CHECK, reader) == ["foreign key public.child.fk"]


def test_many_deletes_on_the_other_side_make_it_a_warning(reader: Session, each_database: Database) -> None:
    each_database.execute("UPDATE pg_class SET relpages = 2000 WHERE relname = 'child'")
    each_database.execute("INSERT INTO parent SELECT n, n, n FROM generate_series(1, 100) AS n")
    each_database.execute("DELETE FROM parent")
    limits = {"warning_read_per_day": "1GB"}
    poll(lambda: only(CHECK, reader, limits).level is Level.WARNING, message="the deletes are counted")
    finding = only(CHECK, reader)
    assert finding.level is Level.INFO, "1.5 GB a day are not much"
    figures = {figure.name: figure.value for figure in finding.evidence.figures}
    assert figures["Rows there"].startswith("100 deleted, 0 updated in ")
    assert figures["Read for deletes"] == "1563 MB a day"


SERVES = (
    "(parent_id)",
    "(parent_id, x)",
    "USING hash (parent_id)",
    "(parent_id) WHERE parent_id IS NOT NULL",
    "(parent_id DESC) INCLUDE (y)",
)
DOES_NOT = (
    "(x, parent_id)",
    "(parent_id) WHERE parent_id > 5",
    "(parent_id) WHERE x IS NOT NULL",
    "(parent_id) WHERE parent_id IS NULL",
    "((parent_id + 1))",
    "(x) INCLUDE (parent_id)",
)


def children(database: Database, indexes: Sequence[str]) -> None:
    """A table for each index, in the schemas s0, s1 ..."""
    for number, index in enumerate(indexes):
        database.execute(
            f"CREATE SCHEMA s{number}; SET search_path = s{number}, public;"
            f"CREATE TABLE s{number}.child (parent_id int CONSTRAINT fk REFERENCES parent, x int, y int);"
            f"CREATE INDEX ON s{number}.child {index}"
        )


def test_an_index_that_begins_with_the_column_will_do(reader: Session, each_database: Database) -> None:
    children(each_database, SERVES)
    assert found(CHECK, reader, ANY_SIZE) == ["foreign key public.child.fk"]


def test_another_index_will_not(reader: Session, each_database: Database) -> None:
    children(each_database, DOES_NOT)
    told = [f"foreign key s{number}.child.fk" for number in range(len(DOES_NOT))]
    assert found(CHECK, reader, ANY_SIZE) == ["foreign key public.child.fk", *told]


def test_an_index_that_is_not_valid_will_not(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX i ON child (parent_id)")
    each_database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass")
    assert found(CHECK, reader, ANY_SIZE) == ["foreign key public.child.fk"]


def test_the_columns_of_a_key_may_stand_in_any_order(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "ALTER TABLE child DROP CONSTRAINT fk; ALTER TABLE child ADD FOREIGN KEY (x, y) REFERENCES parent (x, y);"
        "CREATE INDEX half ON child (x, id, y)"
    )
    assert found(CHECK, reader, ANY_SIZE) == ["foreign key public.child.child_x_y_fkey"]
    for columns in ("(x, y)", "(y, x)", "(y, x, id)"):
        each_database.execute(f"CREATE INDEX whole ON child {columns}")
        assert found(CHECK, reader, ANY_SIZE) == [], columns
        each_database.execute("DROP INDEX whole")


def test_partitions_are_told_as_their_parent(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "DROP TABLE child;"
        "CREATE TABLE p (id int, parent_id int CONSTRAINT fk REFERENCES parent) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)"
    )
    finding = only(CHECK, reader, ANY_SIZE)
    assert finding.subject == "foreign key public.p.fk"
    each_database.execute("CREATE INDEX ON ONLY p (parent_id)")
    assert found(CHECK, reader, ANY_SIZE) == ["foreign key public.p.fk"], (
        "it is not valid until all have theirs"
    )
    run_steps(each_database, finding)
    assert found(CHECK, reader, ANY_SIZE) == []


def test_a_key_that_refers_to_a_partitioned_table_is_told_once(
    reader: Session, each_database: Database
) -> None:
    each_database.execute(
        "DROP TABLE child;"
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "CREATE TABLE child (parent_id int CONSTRAINT fk REFERENCES p)"
    )
    assert found(CHECK, reader, ANY_SIZE) == ["foreign key public.child.fk"]


def test_hostile_names_do_no_harm_and_the_commands_run(reader: Session, each_database: Database) -> None:
    each_database.execute(
        'DROP TABLE child; CREATE TABLE "c\u202e%I" ("col""\n;" int CONSTRAINT "k%s" REFERENCES parent)'.encode()
    )
    finding = only(CHECK, reader, ANY_SIZE)
    assert finding.summary.isprintable()
    run_steps(each_database, finding)
    assert found(CHECK, reader, ANY_SIZE) == []
