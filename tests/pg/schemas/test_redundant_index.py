"""redundant_index: what another index can do as well, and nothing that it cannot."""

from collections.abc import Sequence

import pytest

from pgvigil.postgres.session import Session
from tests.support.design import found, judged, only, run_steps
from tests.support.servers import Database

CHECK = "redundant_index"
ANY_SIZE = {"min_size": "0B"}


@pytest.fixture(autouse=True)
def table(each_database: Database) -> None:
    each_database.execute("CREATE TABLE t (a int NOT NULL, b int, c text, d text)")


COVERED = (
    ("INDEX short ON t (a)", "INDEX long ON t (a, b)"),
    ("INDEX short ON t (a)", "UNIQUE INDEX long ON t (a)"),
    ("INDEX short ON t (a)", "UNIQUE INDEX long ON t (a, c)"),
    ("INDEX short ON t (a)", "INDEX long ON t (a) INCLUDE (b)"),
    ("INDEX short ON t (a) INCLUDE (b)", "INDEX long ON t (a, b)"),
    ("INDEX short ON t (a) INCLUDE (b)", "INDEX long ON t (a, c) INCLUDE (d, b)"),
    ("UNIQUE INDEX short ON t (a)", "UNIQUE INDEX long ON t (a) INCLUDE (b)"),
    ("INDEX short ON t (a DESC NULLS LAST)", "INDEX long ON t (a DESC NULLS LAST, b)"),
    ("INDEX short ON t (a) WHERE b > 5", "INDEX long ON t (a, c) WHERE  b > 5"),
    ("INDEX short ON t (lower(c))", "INDEX long ON t (lower(c), a)"),
    ("INDEX short ON t (a)", "INDEX long ON t (a, lower(c))"),
    ("INDEX short ON t (c text_pattern_ops)", "INDEX long ON t (c text_pattern_ops, d)"),
)
NOT_COVERED = (
    ("INDEX short ON t (b)", "INDEX long ON t (a, b)"),
    ("INDEX short ON t (a, b)", "INDEX long ON t (b, a, c)"),
    ("UNIQUE INDEX short ON t (a)", "INDEX long ON t (a, b)"),
    ("UNIQUE INDEX short ON t (a)", "UNIQUE INDEX long ON t (a, b)"),
    ("INDEX short ON t (a DESC)", "INDEX long ON t (a, b)"),
    ("INDEX short ON t (b NULLS FIRST)", "INDEX long ON t (b, c)"),
    ("INDEX short ON t (a) WHERE b > 5", "INDEX long ON t (a, b)"),
    ("INDEX short ON t (a)", "INDEX long ON t (a, b) WHERE b > 5"),
    ("INDEX short ON t (a) WHERE b > 5", "INDEX long ON t (a, b) WHERE b > 6"),
    ("INDEX short ON t (c)", "INDEX long ON t (c text_pattern_ops, d)"),
    ("INDEX short ON t (c)", 'INDEX long ON t (c COLLATE "C", d)'),
    ("INDEX short ON t (a) INCLUDE (b)", "INDEX long ON t (a, c)"),
    ("INDEX short ON t (lower(c))", "INDEX long ON t (upper(c), a)"),
    ("INDEX short ON t (lower(c))", "INDEX long ON t (lower(c), upper(c))"),
    ("INDEX short ON t USING hash (a)", "INDEX long ON t (a, b)"),
    ("INDEX short ON t (a, b)", "INDEX long ON t (a, b)"),
)


def make(database: Database, pairs: Sequence[tuple[str, str]]) -> None:
    """Each pair on a table of its own, in the schemas s0, s1 ..."""
    for number, pair in enumerate(pairs):
        database.execute(f"CREATE SCHEMA s{number}; CREATE TABLE s{number}.t (LIKE t)")
        for index in pair:
            database.execute(f"SET search_path = s{number}; CREATE {index}")


def test_the_beginning_of_another_index_is_told(reader: Session, each_database: Database) -> None:
    make(each_database, COVERED)
    findings = judged(CHECK, reader, ANY_SIZE).findings
    assert {each.subject for each in findings} == {f"index s{n}.short" for n in range(len(COVERED))}
    for finding in findings:
        assert finding.summary.startswith("Index short (8192 bytes) on s")
        assert finding.summary.endswith(".t is the beginning of long")
        run_steps(each_database, finding)
    assert found(CHECK, reader, ANY_SIZE) == []


def test_what_the_other_cannot_do_is_kept(reader: Session, each_database: Database) -> None:
    make(each_database, NOT_COVERED)
    assert found(CHECK, reader, ANY_SIZE) == []


def test_a_unique_index_covers_another_on_its_columns(reader: Session, each_database: Database) -> None:
    make(each_database, [("UNIQUE INDEX short ON t (a)", "INDEX long ON t (a)")])
    assert found(CHECK, reader, ANY_SIZE) == ["index s0.long"]


NEEDED = (
    "ALTER TABLE t ADD CONSTRAINT short PRIMARY KEY (a)",
    "ALTER TABLE t ADD CONSTRAINT short UNIQUE (a); CREATE TABLE child (a int REFERENCES t (a))",
    "CREATE UNIQUE INDEX short ON t (a); ALTER TABLE t REPLICA IDENTITY USING INDEX short",
    "CREATE INDEX short ON t (a); ALTER TABLE t CLUSTER ON short",
)


def test_what_is_needed_for_more_than_queries_is_kept(reader: Session, each_database: Database) -> None:
    for number, need in enumerate(NEEDED):
        each_database.execute(
            f"CREATE SCHEMA s{number}; CREATE TABLE s{number}.t (LIKE t); SET search_path = s{number};"
            f"{need}; CREATE UNIQUE INDEX long ON t (a) INCLUDE (b)"
        )
    assert found(CHECK, reader, ANY_SIZE) == []


def test_of_a_whole_staircase_the_longest_stays(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE INDEX i1 ON t (a); CREATE INDEX i2 ON t (a, b); CREATE INDEX i3 ON t (a, b, c)"
    )
    assert found(CHECK, reader, ANY_SIZE) == ["index public.i1", "index public.i2"]


def test_an_index_that_is_not_valid_covers_nothing(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX short ON t (a); CREATE INDEX long ON t (a, b)")
    each_database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'long'::regclass")
    assert found(CHECK, reader, ANY_SIZE) == []


def test_a_small_one_is_not_told(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX short ON t (a); CREATE INDEX long ON t (a, b)")
    assert found(CHECK, reader) == []
    each_database.execute("UPDATE pg_class SET relpages = 2000 WHERE relname = 'short'")
    assert found(CHECK, reader) == ["index public.short"]


def test_partitions_are_told_as_their_parent(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "CREATE INDEX short ON p (b); CREATE INDEX long ON p (b, a)"
    )
    finding = only(CHECK, reader, ANY_SIZE)
    assert finding.subject == "index public.short"
    run_steps(each_database, finding)
    assert found(CHECK, reader, ANY_SIZE) == []


def test_hostile_names_do_no_harm_and_the_commands_run(reader: Session, each_database: Database) -> None:
    each_database.execute('CREATE TABLE "T\u202e""%I" (a int, b int)'.encode())
    each_database.execute(
        'CREATE INDEX "i\n;" ON "T\u202e""%I" (a); CREATE INDEX "j%s" ON "T\u202e""%I" (a, b)'.encode()
    )
    finding = only(CHECK, reader, ANY_SIZE)
    assert finding.summary.isprintable()
    run_steps(each_database, finding)
    assert found(CHECK, reader, ANY_SIZE) == []


def test_a_partitioned_index_is_dropped_without_a_long_wait(reader: Session, each_database: Database) -> None:
    """CONCURRENTLY is not possible for it, so the DROP gives up early when it does not get its lock."""
    each_database.execute(
        "CREATE TABLE parted (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);CREATE INDEX parted_one ON parted (b); CREATE INDEX parted_two ON parted (b, a)"
    )
    finding = only(CHECK, reader, ANY_SIZE)
    assert [step.sql for step in finding.steps] == ["SET lock_timeout = '2s'", "DROP INDEX public.parted_one"]
    run_steps(each_database, finding)
