"""constraints: what is unproven, disabled or invalid in a real database, and what is rightly so."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest

from alerts.rules.constraint_not_valid import RULE as NOT_VALID
from alerts.rules.foreign_key_trigger_disabled import RULE as DISABLED
from alerts.rules.invalid_index import RULE as INVALID
from collectors.constraints import COLLECTOR, ConstraintsReading
from pgvigil.model.finding import Finding, Judgement
from pgvigil.plugins import Rule
from pgvigil.postgres.session import Session as Reader
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.readings import context, snapshot
from tests.support.servers import Database


@pytest.fixture
def shop(each_database: Database) -> Database:
    each_database.execute(
        "CREATE TABLE customers (id int PRIMARY KEY);"
        "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total int);"
        "INSERT INTO customers VALUES (1);"
        "INSERT INTO orders VALUES (1, 1, 5), (2, 99, -5), (3, 1, 5);"
    )
    return each_database


def judge(rule: Rule[Any], reading: ConstraintsReading, database: Database) -> Judgement:
    return rule.evaluate(snapshot(reading, "constraints", database=database.name), rule.params(), context())


def only(rule: Rule[Any], reading: ConstraintsReading, database: Database) -> Finding:
    (finding,) = judge(rule, reading, database).findings
    return finding


@contextmanager
def index_left_behind(database: Database, name: str = "orders_customer_key") -> Iterator[None]:
    """A concurrent build that fails leaves its index: a duplicate key stands in the way."""
    with database.connect() as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON orders (customer_id)")
    yield


def test_a_sound_database_has_nothing_to_tell(reader: Reader, shop: Database) -> None:
    shop.execute("DELETE FROM orders WHERE customer_id = 99")
    shop.execute("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers")
    shop.execute("ALTER TABLE orders ADD CHECK (total <> 0)")
    assert COLLECTOR.read(reader) == ConstraintsReading()


def test_constraints_not_valid_are_told_with_their_definitions(reader: Reader, shop: Database) -> None:
    shop.execute(
        "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES customers NOT VALID"
    )
    shop.execute('ALTER TABLE orders ADD CONSTRAINT "Total > 0" CHECK (total > 0) NOT VALID')
    shop.execute("ANALYZE orders")
    check, foreign_key = COLLECTOR.read(reader).unproven
    assert (check.name, check.kind, check.enforced, check.locked) == ("Total > 0", "check", True, False)
    assert check.definition == "CHECK ((total > 0)) NOT VALID"
    assert check.estimated_rows == 3
    assert (foreign_key.schema, foreign_key.relation, foreign_key.kind) == ("public", "orders", "foreign key")


def test_a_domain_constraint_is_told_as_one(reader: Reader, shop: Database) -> None:
    shop.execute("CREATE DOMAIN price AS int")
    shop.execute("ALTER DOMAIN price ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID")
    reading = COLLECTOR.read(reader)
    assert [(row.relation, row.on_domain) for row in reading.unproven] == [("price", True)]
    run_steps(shop, only(NOT_VALID, reading, shop))
    assert COLLECTOR.read(reader).unproven == ()


def test_the_commands_of_the_steps_validate_what_is_true(reader: Reader, shop: Database) -> None:
    """The commands run as they stand, whatever the names hold."""
    shop.execute('CREATE SCHEMA "My ""Schema"""; CREATE TABLE "My ""Schema"""."Täble\u202e" (id int)')
    shop.execute('ALTER TABLE "My ""Schema"""."Täble\u202e" ADD CONSTRAINT "a;b\n" CHECK (id > 0) NOT VALID')
    finding = only(NOT_VALID, COLLECTOR.read(reader), shop)
    assert finding.summary.isprintable()
    run_steps(shop, finding)
    assert COLLECTOR.read(reader).unproven == ()


def run_steps(database: Database, finding: Finding) -> None:
    commands = [step.sql for step in finding.steps if step.sql]
    assert commands
    with database.connect() as connection:
        for command in commands:
            connection.execute(command, prepare=False)


@pytest.mark.parametrize("kind", ["check", "foreign key"])
def test_constraints_not_enforced_are_told_apart(kind: str, reader: Reader, shop: Database) -> None:
    if not reader.facts.has("pg_constraint.conenforced"):
        with pytest.raises(psycopg.errors.SyntaxError):
            shop.execute("ALTER TABLE orders ADD CHECK (total > 0) NOT ENFORCED")
        return
    what = {"check": "CHECK (total > 0)", "foreign key": "FOREIGN KEY (customer_id) REFERENCES customers"}
    shop.execute(f"ALTER TABLE orders ADD CONSTRAINT it {what[kind]} NOT ENFORCED")
    reading = COLLECTOR.read(reader)
    assert [(row.kind, row.enforced) for row in reading.unproven] == [(kind, False)]
    assert reading.disabled == ()  # such a foreign key has no triggers: that is one fault, not two
    assert "not enforced" in only(NOT_VALID, reading, shop).summary


def test_a_not_null_constraint_can_be_not_valid(reader: Reader, shop: Database) -> None:
    statement = "ALTER TABLE orders ADD CONSTRAINT nn NOT NULL total NOT VALID"
    if reader.facts.version_num < 180000:
        with pytest.raises(psycopg.errors.SyntaxError):
            shop.execute(statement)
        return
    shop.execute(statement)
    assert [row.kind for row in COLLECTOR.read(reader).unproven] == ["not null"]


def test_copies_on_children_follow_their_parent(reader: Reader, shop: Database) -> None:
    shop.execute("CREATE TABLE child () INHERITS (orders)")
    shop.execute("ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID")
    assert [row.relation for row in COLLECTOR.read(reader).unproven] == ["orders"]


def test_a_locked_relation_is_skipped_at_once_and_not_covered(reader: Reader, shop: Database) -> None:
    shop.execute("ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID")
    shop.execute("ALTER TABLE customers ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
    with index_left_behind(shop), idle_in_transaction(shop.dsn(), "LOCK TABLE orders"):
        reading = COLLECTOR.read(reader)
    assert [(row.relation, row.locked) for row in reading.unproven] == [
        ("customers", False),
        ("orders", True),
    ]
    assert [row.size_bytes for row in reading.invalid] == [None]
    judgement = judge(NOT_VALID, reading, shop)
    assert [finding.subject for finding in judgement.findings] == ["constraint public.customers.positive"]
    assert not judgement.scope.covers(shop.name, "constraint public.orders.positive")
    assert judgement.scope.covers(shop.name, "constraint public.orders.other")
    assert not judgement.scope.covers("another database", "constraint public.orders.other")
    assert judge(INVALID, reading, shop).findings == ()


def test_a_relation_that_ddl_waits_for_is_skipped_as_well(reader: Reader, shop: Database) -> None:
    """We would join the queue behind it, and others would wait behind us."""
    shop.execute("ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID")
    with (
        idle_in_transaction(shop.dsn(), "SELECT * FROM orders"),
        blocked_session(shop.dsn(), "ALTER TABLE orders ADD COLUMN note text"),
    ):
        assert [row.locked for row in COLLECTOR.read(reader).unproven] == [True]


@pytest.mark.parametrize(
    ("table", "state", "checks", "actions", "replica"),
    [
        ("orders", "DISABLE TRIGGER ALL", True, False, False),
        ("customers", "DISABLE TRIGGER ALL", False, True, False),
        ("orders", "replica", True, False, True),
    ],
)
def test_a_foreign_key_with_disabled_triggers_is_told_by_side(
    table: str, state: str, checks: bool, actions: bool, replica: bool, reader: Reader, shop: Database
) -> None:
    shop.execute("DELETE FROM orders WHERE customer_id = 99")
    shop.execute("ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES customers")
    if state == "replica":
        with shop.connect() as connection:
            names = connection.execute(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND tgisinternal"
            ).fetchall()
            for (name,) in names:
                connection.execute(f'ALTER TABLE orders ENABLE REPLICA TRIGGER "{name}"')
    else:
        shop.execute(f"ALTER TABLE {table} {state}")
    reading = COLLECTOR.read(reader)
    (row,) = reading.disabled
    assert (row.checks_off, row.actions_off, row.replica_only) == (checks, actions, replica)
    assert (row.columns, row.referenced_columns) == (["customer_id"], ["id"])
    finding = only(DISABLED, reading, shop)
    shop.execute("ALTER TABLE orders DISABLE TRIGGER ALL; INSERT INTO orders VALUES (7, 777, 1)")
    run_steps(shop, finding)
    (orphans,) = [step.sql for step in finding.steps if step.sql and step.sql.startswith("SELECT")]
    assert shop.execute(orphans) == [(7, 777, 1)]


def test_the_triggers_that_the_steps_enable_are_enabled(reader: Reader, shop: Database) -> None:
    shop.execute("CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree)")
    shop.execute("ALTER TABLE tree DISABLE TRIGGER ALL")
    finding = only(DISABLED, COLLECTOR.read(reader), shop)
    run_steps(shop, finding)
    assert COLLECTOR.read(reader).disabled == ()


def test_partitions_of_a_foreign_key_are_told_as_one(reader: Reader, shop: Database) -> None:
    shop.execute(
        "CREATE TABLE events (id int, customer_id int REFERENCES customers) PARTITION BY RANGE (id);"
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20);"
        "ALTER TABLE events_1 DISABLE TRIGGER ALL; ALTER TABLE events_2 DISABLE TRIGGER ALL"
    )
    assert [row.relation for row in COLLECTOR.read(reader).disabled] == ["events"]


def test_a_failed_concurrent_build_leaves_an_invalid_index(reader: Reader, shop: Database) -> None:
    with index_left_behind(shop):
        (row,) = COLLECTOR.read(reader).invalid
    assert (row.name, row.relation, row.unique, row.live) == ("orders_customer_key", "orders", True, True)
    assert (row.build_phase, row.ddl, row.locked, row.partitioned) == (None, False, False, False)
    assert row.size_bytes is not None
    assert "CREATE UNIQUE INDEX orders_customer_key" in (row.definition or "")


def test_a_running_build_is_no_finding_until_it_is_over(reader: Reader, shop: Database) -> None:
    """It waits for a transaction that is older than itself; then somebody cancels it."""
    statement = "CREATE INDEX CONCURRENTLY orders_total ON orders (total)"
    with (
        idle_in_transaction(shop.dsn(), "UPDATE orders SET total = 6 WHERE id = 1"),
        concurrently(shop, statement) as pid,
    ):
        reading = poll(lambda: _with_invalid(reader), message="the build has begun")
        assert judge(INVALID, reading, shop).findings == ()
        assert [(row.build_phase is not None, row.ddl) for row in reading.invalid] == [(True, False)]
        shop.execute("SELECT pg_cancel_backend(%s)", [pid])
        left = poll(lambda: _at_rest(reader), message="the build was cancelled")
    assert only(INVALID, left, shop).subject == "index public.orders_total"


def test_a_running_concurrent_drop_is_no_finding(reader: Reader, shop: Database) -> None:
    shop.execute("CREATE INDEX orders_total ON orders (total)")
    with (
        idle_in_transaction(shop.dsn(), "UPDATE orders SET total = 6 WHERE id = 1"),
        concurrently(shop, "DROP INDEX CONCURRENTLY orders_total"),
    ):
        # Locks are read first: a drop that begins between the two queries is seen by the next reading.
        poll(lambda: _with_invalid(reader), message="the drop has begun")
        reading = COLLECTOR.read(reader)
        assert judge(INVALID, reading, shop).findings == ()
        assert [row.ddl for row in reading.invalid] == [True]


def test_the_left_over_of_a_reindex_is_dropped_not_rebuilt(reader: Reader, shop: Database) -> None:
    shop.execute("CREATE INDEX orders_total ON orders (total)")
    with (
        idle_in_transaction(shop.dsn(), "UPDATE orders SET total = 6 WHERE id = 1"),
        concurrently(shop, "REINDEX INDEX CONCURRENTLY orders_total") as pid,
    ):
        poll(lambda: _with_invalid(reader), message="the rebuild has begun")
        shop.execute("SELECT pg_cancel_backend(%s)", [pid])
        left = poll(lambda: _at_rest(reader), message="the rebuild was cancelled")
    finding = only(INVALID, left, shop)
    assert finding.subject == "index public.orders_total_ccnew"
    run_steps(shop, finding)
    assert COLLECTOR.read(reader).invalid == ()


def test_an_index_on_a_partitioned_table_waits_for_its_partitions(reader: Reader, shop: Database) -> None:
    shop.execute(
        "CREATE TABLE events (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20);"
        "CREATE INDEX events_id ON ONLY events (id); CREATE INDEX events_1_id ON events_1 (id);"
        "ALTER INDEX events_id ATTACH PARTITION events_1_id"
    )
    reading = COLLECTOR.read(reader)
    assert [(row.name, row.partitioned, row.partitions, row.attached) for row in reading.invalid] == [
        ("events_id", True, 2, 1)
    ]
    finding = only(INVALID, reading, shop)
    assert finding.steps[0].sql is not None
    assert shop.execute(finding.steps[0].sql) == [("events_2",)]


def test_pg_monitor_is_enough(shop: Database, as_role: Callable[..., Reader]) -> None:
    shop.execute(
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC"
    )
    shop.execute("ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID")
    with index_left_behind(shop):
        reading = COLLECTOR.read(as_role("pg_monitor"))
    assert [row.definition for row in reading.unproven] == ["CHECK ((total > 0)) NOT VALID"]
    assert [row.size_bytes is None for row in reading.invalid] == [False]


@contextmanager
def concurrently(database: Database, statement: str) -> Iterator[int]:
    """The pid of a session that runs `statement`, which waits; terminated at the end."""
    with database.connect() as connection:
        pid = connection.info.backend_pid

        def run() -> None:
            with suppress(psycopg.Error):
                connection.execute(statement)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield pid
        finally:
            database.execute("SELECT pg_terminate_backend(%s)", [pid])
            thread.join(10)
        assert not thread.is_alive()


def _with_invalid(reader: Reader) -> ConstraintsReading | None:
    reading = COLLECTOR.read(reader)
    return reading if reading.invalid else None


def _at_rest(reader: Reader) -> ConstraintsReading | None:
    reading = COLLECTOR.read(reader)
    return reading if not any(row.build_phase or row.ddl or row.locked for row in reading.invalid) else None
