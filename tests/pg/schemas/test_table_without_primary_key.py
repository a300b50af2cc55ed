"""table_without_primary_key: nothing tells the rows apart."""

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.design import found, only
from tests.support.servers import Database

CHECK = "table_without_primary_key"


def test_a_table_without_a_key_is_told(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE t (a int, b int); INSERT INTO t SELECT n, n FROM generate_series(1, 2000) AS n; ANALYZE t"
    )
    finding = only(CHECK, reader)
    assert finding.subject == "table public.t"
    assert finding.level is Level.INFO
    assert finding.summary == "Table public.t (72 kB) has no primary key"
    figures = {figure.name: figure.value for figure in finding.evidence.figures}
    assert figures == {"Table": "public.t", "Size": "72 kB", "Rows": "about 2,000"}
    assert found(CHECK, reader, {"min_size": "1MB"}) == []
    each_database.execute("ALTER TABLE t ADD PRIMARY KEY (a)")
    assert found(CHECK, reader) == []


KEYS = (
    "PRIMARY KEY (a)",
    "PRIMARY KEY (a, b)",
    "PRIMARY KEY (a) DEFERRABLE",
    "UNIQUE (a)",
    "UNIQUE (c, a)",
)
NO_KEYS = (
    "ALTER TABLE t ADD UNIQUE (b)",
    "ALTER TABLE t ADD UNIQUE (a) DEFERRABLE",
    "CREATE UNIQUE INDEX ON t (a) WHERE b > 0",
    "CREATE UNIQUE INDEX ON t ((a + 1))",
    "CREATE INDEX ON t (a)",
)


def test_what_tells_rows_apart_is_a_key(reader: Session, each_database: Database) -> None:
    for number, key in enumerate(KEYS):
        each_database.execute(f"CREATE TABLE t{number} (a int NOT NULL, b int, c int NOT NULL, {key})")
    assert found(CHECK, reader) == []


def test_what_does_not_is_none(reader: Session, each_database: Database) -> None:
    for number, statement in enumerate(NO_KEYS):
        each_database.execute(
            f"CREATE SCHEMA s{number}; SET search_path = s{number};"
            f"CREATE TABLE t (a int NOT NULL, b int); {statement}"
        )
    assert sorted(found(CHECK, reader)) == [f"table s{number}.t" for number in range(len(NO_KEYS))]


def test_partitions_are_told_as_their_parent(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)"
    )
    finding = only(CHECK, reader)
    assert finding.subject == "table public.p"
    assert {"Partitions": "2"}.items() <= {each.name: each.value for each in finding.evidence.figures}.items()
    each_database.execute("ALTER TABLE p ADD PRIMARY KEY (a)")
    assert found(CHECK, reader) == []


def test_work_in_progress_does_not_count(reader: Session, each_database: Database) -> None:
    with each_database.connect() as connection:
        connection.execute("CREATE TEMP TABLE t (a int)")
        connection.execute("CREATE UNLOGGED TABLE u (a int); CREATE VIEW v AS SELECT 1 AS a")
        connection.execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS a")
        assert found(CHECK, reader) == []


def test_hostile_names_do_no_harm(reader: Session, each_database: Database) -> None:
    each_database.execute('CREATE TABLE "c\u202e%I""\n" (a int)'.encode())
    finding = only(CHECK, reader)
    assert finding.summary.isprintable()
    assert finding.subject == 'table public.U&"c\\202E%I""\\000A"'
