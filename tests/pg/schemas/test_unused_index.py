"""unused_index: nobody scanned it, nothing else needs it, and the statistics reach back far enough to say so."""

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.design import found, judged, only, run_steps
from tests.support.polling import poll
from tests.support.servers import Database

CHECK = "unused_index"
AT_ONCE = {"min_size": "0B", "min_unused": "0s"}


@pytest.fixture(autouse=True)
def table(each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE t (a int NOT NULL, b int, c text);"
        "INSERT INTO t SELECT n, n, n::text FROM generate_series(1, 2000) AS n; ANALYZE t"
    )


def test_an_index_that_nobody_used_is_told(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX idle ON t (b)")
    finding = only(CHECK, reader, AT_ONCE)
    assert finding.subject == "index public.idle"
    assert finding.level is Level.INFO
    assert finding.summary.startswith("Index idle (")
    assert finding.summary.endswith("on public.t has not been used for 0 days")
    run_steps(each_database, finding)
    assert found(CHECK, reader, AT_ONCE) == []


def test_young_statistics_prove_nothing(reader: Session, each_database: Database) -> None:
    """It is there, and it begins and ends nothing."""
    each_database.execute("CREATE INDEX idle ON t (b)")
    judgement = judged(CHECK, reader, {"min_size": "0B"})
    assert [finding.level for finding in judgement.findings] == [Level.HOLD]
    assert found(CHECK, reader) == [], "and it is small"


def test_an_index_that_is_used_is_not_told(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX busy ON t (b)")
    each_database.execute(
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT a FROM t WHERE b = 7"
    )
    poll(lambda: found(CHECK, reader, AT_ONCE) == [], message="the scan is counted")


NEEDED = (
    "ALTER TABLE t ADD PRIMARY KEY (a)",
    "CREATE UNIQUE INDEX ON t (b)",
    "ALTER TABLE t ADD EXCLUDE (b WITH =)",
    "CREATE UNIQUE INDEX i ON t (a); ALTER TABLE t REPLICA IDENTITY USING INDEX i",
    "CREATE INDEX i ON t (b); CLUSTER t USING i",
    "ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES parent NOT VALID; CREATE INDEX ON t (b, c)",
)


def test_what_is_needed_without_being_scanned_is_not_told(reader: Session, each_database: Database) -> None:
    for number, needed in enumerate(NEEDED):
        each_database.execute(
            f"CREATE SCHEMA s{number}; CREATE TABLE s{number}.t (LIKE t); SET search_path = s{number}, public;"
            f"{needed}"
        )
    assert found(CHECK, reader, AT_ONCE) == []


def test_a_foreign_key_needs_no_index_that_begins_otherwise(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES parent NOT VALID; CREATE INDEX idle ON t (c, b)"
    )
    assert found(CHECK, reader, AT_ONCE) == ["index public.idle"]


def test_an_index_on_an_expression_has_a_warning_beside_it(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX idle ON t (lower(c))")
    assert "the planner may use the statistics" in only(CHECK, reader, AT_ONCE).evidence.cause


def test_partitions_are_told_as_their_parent(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "CREATE INDEX whole ON p (b)"
    )
    finding = only(CHECK, reader, AT_ONCE)
    assert finding.subject == "index public.whole"
    each_database.execute(
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT a FROM p1 WHERE b = 7"
    )
    poll(lambda: found(CHECK, reader, AT_ONCE) == [], message="a scan of one partition is counted")


def test_when_it_was_last_used_is_said_where_the_server_knows(
    reader: Session, each_database: Database
) -> None:
    each_database.execute("CREATE INDEX idle ON t (b)")
    names = {figure.name for figure in only(CHECK, reader, AT_ONCE).evidence.figures}
    assert {"Size", "Statistics since", "Scanned"} <= names
    assert "Last used" not in names


def test_a_partitioned_index_is_dropped_without_a_long_wait(reader: Session, each_database: Database) -> None:
    """CONCURRENTLY is not possible for it, so the DROP gives up early when it does not get its lock."""
    each_database.execute(
        "CREATE TABLE parted (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);CREATE INDEX parted_one ON parted (b)"
    )
    finding = only(CHECK, reader, AT_ONCE)
    assert [step.sql for step in finding.steps] == ["SET lock_timeout = '2s'", "DROP INDEX public.parted_one"]
    run_steps(each_database, finding)
