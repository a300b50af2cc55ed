"""duplicate_index: the same in everything, and nothing that differs in anything."""

import pytest

from pgvigil.postgres.session import Session
from tests.support.design import found, judged, only, run_steps
from tests.support.servers import Database

CHECK = "duplicate_index"


@pytest.fixture(autouse=True)
def table(each_database: Database) -> None:
    each_database.execute("CREATE TABLE t (a int NOT NULL, b int, c text, d text)")


def test_the_younger_of_two_equal_indexes_is_told(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX old_one ON t (a, b); CREATE INDEX new_one ON t (a, b)")
    finding = only(CHECK, reader)
    assert finding.subject == "index public.new_one"
    assert finding.summary == "Index new_one on public.t duplicates old_one (8192 bytes)"
    assert finding.evidence.blocks[0].text == "CREATE INDEX new_one ON public.t USING btree (a, b)"
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []


EQUAL = (
    "(c text_pattern_ops)",
    '(c COLLATE "C", d)',
    "((lower(c)), ((a + b)))",
    "(a DESC, b) WHERE b > 5",
    "(a) INCLUDE (b, c)",
    "USING hash (c)",
    "(c varchar_pattern_ops) WHERE c IN ('x', 'y')",
)


def test_whatever_both_have_in_common_makes_them_equal(reader: Session, each_database: Database) -> None:
    for number, definition in enumerate(EQUAL):
        each_database.execute(
            f"CREATE TABLE t{number} (LIKE t);"
            f"CREATE INDEX one{number} ON t{number} {definition};"
            f"CREATE INDEX  two{number}  ON  t{number}  {definition}"
        )
    findings = judged(CHECK, reader).findings
    assert sorted(each.subject for each in findings) == [f"index public.two{n}" for n in range(len(EQUAL))]
    for finding in findings:
        run_steps(each_database, finding)
    assert found(CHECK, reader) == []


def test_included_columns_have_no_order(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE INDEX one ON t (a) INCLUDE (b, c); CREATE INDEX two ON t (a) INCLUDE (c, b)"
    )
    assert found(CHECK, reader) == ["index public.two"]


DIFFERENT = (
    ("INDEX one ON t (a, b)", "INDEX other ON t (b, a)"),
    ("INDEX one ON t (a)", "INDEX other ON t (a, b)"),
    ("INDEX one ON t (a)", "INDEX other ON t (a DESC)"),
    ("INDEX one ON t (b)", "INDEX other ON t (b NULLS FIRST)"),
    ("INDEX one ON t (a)", "UNIQUE INDEX other ON t (a)"),
    ("INDEX one ON t (a)", "INDEX other ON t (a) WHERE b > 5"),
    ("INDEX one ON t (a) WHERE b > 5", "INDEX other ON t (a) WHERE b > 6"),
    ("INDEX one ON t (a)", "INDEX other ON t (a) INCLUDE (b)"),
    ("INDEX one ON t (c)", "INDEX other ON t (c text_pattern_ops)"),
    ("INDEX one ON t (c)", 'INDEX other ON t (c COLLATE "C")'),
    ("INDEX one ON t (a)", "INDEX other ON t USING hash (a)"),
    ("INDEX one ON t (lower(c))", "INDEX other ON t (upper(c))"),
    ("INDEX one ON t (lower(c))", "INDEX other ON t (lower(d))"),
)


def test_what_differs_is_no_duplicate(reader: Session, each_database: Database) -> None:
    for number, pair in enumerate(DIFFERENT):
        each_database.execute(f"CREATE SCHEMA s{number}; CREATE TABLE s{number}.t (LIKE t)")
        for index in pair:
            each_database.execute(f"SET search_path = s{number}; CREATE {index}")
    assert found(CHECK, reader) == []


def test_nulls_not_distinct_is_another_promise(reader: Session, each_database: Database) -> None:
    if not reader.facts.has("pg_index.indnullsnotdistinct"):
        pytest.skip("the server does not know NULLS NOT DISTINCT")
    each_database.execute(
        "CREATE UNIQUE INDEX one ON t (b); CREATE UNIQUE INDEX two ON t (b) NULLS NOT DISTINCT"
    )
    assert found(CHECK, reader) == []


def test_what_a_constraint_needs_is_kept(reader: Session, each_database: Database) -> None:
    """Though the other one is older; and of two constraints the primary key."""
    each_database.execute("CREATE UNIQUE INDEX old_one ON t (a)")
    each_database.execute("ALTER TABLE t ADD CONSTRAINT key UNIQUE (a)")
    finding = only(CHECK, reader)
    assert finding.subject == "index public.old_one"
    each_database.execute("ALTER TABLE t ADD PRIMARY KEY (a)")
    assert found(CHECK, reader) == ["index public.key", "index public.old_one"]
    run_steps(each_database, only(CHECK, reader, {"ignore": ["public.old_one"]}))
    run_steps(each_database, only(CHECK, reader))
    assert found(CHECK, reader) == []
    (kept,) = each_database.execute(
        "SELECT array_agg(conname::text) FROM pg_constraint WHERE conindid = 't_pkey'::regclass"
    )
    assert kept == (["t_pkey"],)


def test_what_foreign_keys_refer_to_is_kept(reader: Session, each_database: Database) -> None:
    each_database.execute("ALTER TABLE t ADD CONSTRAINT referred UNIQUE (a)")
    each_database.execute("CREATE TABLE child (a int REFERENCES t (a))")
    each_database.execute("ALTER TABLE t ADD CONSTRAINT other UNIQUE (a)")
    finding = only(CHECK, reader)
    assert finding.subject == "index public.other"
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []


def test_the_replica_identity_is_kept(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE UNIQUE INDEX one ON t (a); CREATE UNIQUE INDEX two ON t (a)")
    each_database.execute("ALTER TABLE t REPLICA IDENTITY USING INDEX two")
    assert found(CHECK, reader) == ["index public.one"]


@pytest.mark.parametrize("parted", ["", " PARTITION BY RANGE (a)"], ids=["plain", "partitioned"])
def test_a_replica_identity_that_a_primary_key_doubles_is_moved_and_dropped(
    reader: Session, each_database: Database, parted: str
) -> None:
    each_database.execute(f"CREATE TABLE r (a int NOT NULL){parted}; CREATE UNIQUE INDEX one ON r (a)")
    each_database.execute("ALTER TABLE r REPLICA IDENTITY USING INDEX one; ALTER TABLE r ADD PRIMARY KEY (a)")
    finding = only(CHECK, reader)
    assert finding.subject == "index public.one"
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []
    moved = "SELECT indisreplident FROM pg_index WHERE indexrelid = 'r_pkey'::regclass"
    assert each_database.execute(moved) == [(True,)]


def test_an_index_that_is_not_valid_is_another_matter(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX one ON t (a); CREATE INDEX two ON t (a)")
    each_database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'two'::regclass")
    assert found(CHECK, reader) == []


def test_partitions_are_told_as_their_parent(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "CREATE INDEX one ON p (b); CREATE INDEX two ON p (b)"
    )
    finding = only(CHECK, reader)
    assert finding.subject == "index public.two"
    assert "16 kB" in finding.summary
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []


def test_an_index_of_a_partition_alone_gives_way_to_the_parents(
    reader: Session, each_database: Database
) -> None:
    each_database.execute(
        "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE INDEX local ON p1 (b);"
        "CREATE INDEX two ON p1 (b); CREATE INDEX whole ON p (b)"
    )
    told = found(CHECK, reader)
    assert len(told) == 1, "the parent attached one of the two"
    assert told[0] in {"index public.local", "index public.two"}


def test_temporary_tables_are_left_alone(reader: Session, each_database: Database) -> None:
    with each_database.connect() as connection:
        connection.execute("CREATE TEMP TABLE u (a int); CREATE INDEX ON u (a); CREATE INDEX ON u (a)")
        assert found(CHECK, reader) == []


def test_hostile_names_do_no_harm_and_the_commands_run(reader: Session, each_database: Database) -> None:
    name = 'I"x\u202e\n%s; DROP'
    quoted = '"' + name.replace('"', '""') + '"'
    each_database.execute('CREATE SCHEMA "S %I"; CREATE TABLE "S %I"."T\'\u202e" (a int)'.encode())
    each_database.execute('CREATE INDEX ON "S %I"."T\'\u202e" (a)'.encode())
    each_database.execute(f'CREATE INDEX {quoted} ON "S %I"."T\'\u202e" (a)'.encode())
    finding = only(CHECK, reader)
    assert finding.summary.isprintable()
    assert finding.subject.isprintable()
    assert all((step.sql or "").isprintable() for step in finding.steps)
    run_steps(each_database, finding)
    assert found(CHECK, reader) == []


def test_what_is_ignored_is_not_told(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE INDEX one ON t (a); CREATE INDEX two ON t (a)")
    assert found(CHECK, reader, {"ignore": ["public.t"]}) == []
    assert found(CHECK, reader, {"ignore": ["*.two"]}) == []
    assert found(CHECK, reader, {"ignore": ["index public.two"]}) == []
    assert found(CHECK, reader, {"ignore": ["public.one"]}) == ["index public.two"]
    assert found(CHECK, reader, {"min_size": "1MB"}) == []


def test_a_partitioned_index_is_dropped_without_a_long_wait(reader: Session, each_database: Database) -> None:
    """CONCURRENTLY is not possible for it, so the DROP gives up early when it does not get its lock."""
    each_database.execute(
        "CREATE TABLE parted (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);CREATE INDEX parted_one ON parted (b); CREATE INDEX parted_two ON parted (b)"
    )
    finding = only(CHECK, reader)
    assert [step.sql for step in finding.steps] == ["SET lock_timeout = '2s'", "DROP INDEX public.parted_two"]
    run_steps(each_database, finding)
