"""A sequence that comes to its end, and one that will not."""

from collections.abc import Callable

import pytest

from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.sql.grants import Tier, script
from tests.support.locks import idle_in_transaction
from tests.support.servers import Database
from tests.support.vitals import Vitals
from tests.support.watching import ROLE, psql

HOUR = 3600.0


@pytest.fixture
def shop(database: Database) -> Database:
    database.execute("CREATE SEQUENCE ids AS bigint")
    database.execute("CREATE TABLE orders (id int DEFAULT nextval('ids'))")
    psql(database.dsn(), script(Tier.WATCH, ROLE))
    return database


@pytest.fixture
def seen(vitals: Callable[..., Vitals]) -> Vitals:
    return vitals({"sequence_exhaustion": {}})


def test_a_bigint_sequence_on_an_int_column_is_told_and_resolves(
    seen: Vitals, shop: Database, reader: Session
) -> None:
    shop.execute("SELECT setval('ids', 2147483000)")
    seen.look(reader)
    told = seen.firing["sequence public.ids"]
    assert told.severity is Level.CRITICAL
    assert told.summary == "Sequence public.ids has used 100.0 % of its range (integer column)"
    with shop.connect() as connection:
        connection.execute("ALTER TABLE orders ALTER COLUMN id TYPE bigint")
    seen.look(reader, after_s=HOUR)
    assert seen.open == {}


def test_one_that_is_used_up_within_days_is_critical_long_before(
    seen: Vitals, shop: Database, reader: Session
) -> None:
    """40 million a ten hours: 1.2 billion are left for twelve days; at 400 million for one."""
    for hour in range(12):
        shop.execute("SELECT setval('ids', %s)", [900_000_000 + hour * 4_000_000])
        seen.look(reader, after_s=HOUR)
    told = seen.firing["sequence public.ids"]
    assert told.severity is Level.WARNING
    assert "it ends in 12d" in told.summary
    for hour in range(12):
        shop.execute("SELECT setval('ids', %s)", [1_000_000_000 + hour * 40_000_000])
        seen.look(reader, after_s=HOUR)
    assert seen.firing["sequence public.ids"].severity is Level.CRITICAL


def test_one_that_hardly_moves_is_info(seen: Vitals, shop: Database, reader: Session) -> None:
    shop.execute("SELECT setval('ids', 1900000000)")
    for _ in range(12):
        shop.execute("SELECT nextval('ids')")
        seen.look(reader, after_s=HOUR)
    assert seen.loud == []
    assert seen.firing["sequence public.ids"].severity is Level.INFO


def test_the_healthy_twin_is_silent(seen: Vitals, shop: Database, reader: Session) -> None:
    """A young table grows quickly, and a bigint column has no end to speak of."""
    shop.execute("CREATE TABLE wide (id bigserial)")
    psql(shop.dsn(), script(Tier.WATCH, ROLE))
    for hour in range(12):
        shop.execute(
            "SELECT setval('ids', %s), setval('wide_id_seq', %s)", [1000 * 2**hour, 10**9 * (hour + 1)]
        )
        seen.look(reader, after_s=HOUR)
    assert seen.open == {}


def test_the_steps_run_as_they_stand(seen: Vitals, shop: Database, reader: Session) -> None:
    shop.execute('CREATE SEQUENCE "Odd; ""name" MAXVALUE 10')
    psql(shop.dsn(), script(Tier.WATCH, ROLE))
    shop.execute("SELECT setval('ids', 2147483000), setval('\"Odd; \"\"name\"', 10)")
    seen.look(reader)
    assert len(seen.firing) == 2
    for incident in seen.firing.values():
        for step in incident.steps:
            if step.sql:
                shop.execute(step.sql)
    seen.look(reader, after_s=HOUR)
    assert seen.open == {}


def test_one_that_is_being_altered_has_not_recovered(seen: Vitals, shop: Database, reader: Session) -> None:
    shop.execute("SELECT setval('ids', 2147483000)")
    seen.look(reader)
    with idle_in_transaction(shop.dsn(), "ALTER SEQUENCE ids INCREMENT 2") as altering:
        seen.look(reader, after_s=HOUR)
        assert seen.open["sequence public.ids"].state is State.UNKNOWN
        altering.connection.rollback()
    seen.look(reader, after_s=HOUR)
    assert seen.firing["sequence public.ids"].severity is Level.CRITICAL


def test_one_that_is_gone_is_over_though_others_are_never_come_to(
    seen: Vitals, shop: Database, reader: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a database with so many that there is no time for all of them."""
    shop.execute("CREATE SEQUENCE other MAXVALUE 100")
    psql(shop.dsn(), script(Tier.WATCH, ROLE))
    shop.execute("SELECT setval('ids', 2147483000), setval('other', 100)")
    seen.look(reader)
    assert len(seen.firing) == 2
    monkeypatch.setattr("collectors.sequences._BUDGET_S", -1.0)
    shop.execute("ALTER TABLE orders ALTER COLUMN id DROP DEFAULT; DROP SEQUENCE ids")
    seen.look(reader, after_s=HOUR)
    assert {subject: each.state for subject, each in seen.open.items()} == {
        "sequence public.other": State.UNKNOWN
    }
    monkeypatch.setattr("collectors.sequences.MOST_NAMED", 0)  # more than can be named
    shop.execute("DROP SEQUENCE other; CREATE SEQUENCE another")
    seen.look(reader, after_s=HOUR)
    assert seen.open["sequence public.other"].state is State.UNKNOWN
