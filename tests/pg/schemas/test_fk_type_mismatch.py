"""fk_type_mismatch: the two sides of a foreign key are of different types or collations."""

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.design import found, judged, only
from tests.support.servers import Database

CHECK = "fk_type_mismatch"


def keys(database: Database, *pairs: tuple[str, str]) -> None:
    """The types of a key and of the column that refers to it, each pair in a schema of its own: s0, s1 ..."""
    for number, (parent, child) in enumerate(pairs):
        database.execute(
            f"CREATE SCHEMA s{number}; SET search_path = s{number}, public;"
            f"CREATE TABLE parent (id {parent} PRIMARY KEY);"
            f"CREATE TABLE child (parent_id {child} CONSTRAINT fk REFERENCES parent)"
        )


def test_a_smaller_integer_is_a_warning(reader: Session, each_database: Database) -> None:
    keys(each_database, ("bigint", "int"), ("int", "smallint"))
    findings = judged(CHECK, reader).findings
    assert [each.subject for each in findings] == ["foreign key s0.child.fk", "foreign key s1.child.fk"]
    assert [each.level for each in findings] == [Level.WARNING] * 2
    assert "inserts fail" in findings[0].evidence.impact
    each_database.execute("ALTER TABLE s0.child ALTER parent_id TYPE bigint")
    assert found(CHECK, reader) == ["foreign key s1.child.fk"]


def test_the_types_of_both_sides_are_said(reader: Session, each_database: Database) -> None:
    keys(each_database, ("bigint", "int"))
    assert only(CHECK, reader).summary == (
        "Foreign key fk of s0.child: parent_id integer refers to id bigint"
    )


def test_another_type_is_info(reader: Session, each_database: Database) -> None:
    keys(each_database, ("int", "bigint"), ("numeric", "int"), ("text", "char(9)"))
    assert [each.level for each in judged(CHECK, reader).findings] == [Level.INFO] * 3


def test_another_collation_is_told(reader: Session, each_database: Database) -> None:
    keys(each_database, ("text", 'text COLLATE "C"'))
    finding = only(CHECK, reader)
    assert finding.level is Level.INFO
    assert finding.summary.endswith('parent_id text COLLATE "C" refers to id text COLLATE "default"')


def test_what_is_the_same_to_the_server_is_not_told(reader: Session, each_database: Database) -> None:
    keys(
        each_database,
        ("int", "int"),
        ("text", "varchar(20)"),
        ("varchar(10)", "varchar(20)"),
        ("numeric(9)", "numeric"),
        ("uuid", "uuid"),
    )
    assert found(CHECK, reader) == []


def test_a_domain_is_what_it_is_made_of(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE DOMAIN id AS int; CREATE DOMAIN customer_id AS id CHECK (VALUE > 0)")
    keys(each_database, ("int", "customer_id"), ("bigint", "customer_id"))
    assert found(CHECK, reader) == ["foreign key s1.child.fk"]


def test_of_several_columns_the_wrong_ones_are_named(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE parent (a int, b bigint, c bigint, PRIMARY KEY (a, b, c));"
        "CREATE TABLE child (a int, b int, c int, CONSTRAINT fk FOREIGN KEY (a, b, c) REFERENCES parent)"
    )
    assert only(CHECK, reader).summary == (
        "Foreign key fk of public.child: b integer refers to b bigint; c integer refers to c bigint"
    )


def test_partitions_are_told_as_their_parent(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE parent (id bigint PRIMARY KEY);"
        "CREATE TABLE p (id int, parent_id int CONSTRAINT fk REFERENCES parent) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)"
    )
    assert found(CHECK, reader) == ["foreign key public.p.fk"]


def test_hostile_names_do_no_harm(reader: Session, each_database: Database) -> None:
    each_database.execute(
        'CREATE TABLE parent (id bigint PRIMARY KEY); CREATE TABLE "c\u202e%I" ("col""\n;" int REFERENCES parent)'.encode()
    )
    finding = only(CHECK, reader)
    assert finding.summary.isprintable()
    assert finding.subject.isprintable()
