"""sequences: what they have used, of their own range and of their column's."""

from types import SimpleNamespace

import pytest

from collectors.sequences import COLLECTOR, MOST, PART, Sequence
from pgvigil.postgres.session import Session
from pgvigil.sql.grants import Tier, script
from tests.support.locks import idle_in_transaction
from tests.support.servers import Database
from tests.support.watching import ROLE, psql


@pytest.fixture
def shop(each_database: Database) -> Database:
    each_database.execute(
        "CREATE TABLE orders (id serial, line smallserial, big bigserial, ident int GENERATED ALWAYS AS IDENTITY);"
        "CREATE SEQUENCE narrow AS bigint; CREATE DOMAIN key AS int;"
        "CREATE TABLE lines (id key DEFAULT nextval('narrow'));"
        "CREATE SEQUENCE alone MAXVALUE 100; CREATE SEQUENCE down INCREMENT -1 MINVALUE -50;"
        "CREATE SEQUENCE round MAXVALUE 10 CYCLE; CREATE SEQUENCE unused MAXVALUE 10"
    )
    return each_database


def granted(shop: Database) -> None:
    """What `pgvigil grants` prints, once more, now that there are sequences."""
    psql(shop.dsn(), script(Tier.WATCH, ROLE))


def read(reader: Session) -> dict[str, Sequence]:
    return {each.name: each for each in COLLECTOR.read(reader).sequences}


def test_the_end_of_the_column_comes_before_that_of_the_sequence(reader: Session, shop: Database) -> None:
    granted(shop)
    shop.execute("SELECT setval('narrow', 2000000000), setval('orders_line_seq', 30000)")
    found = read(reader)
    assert found["narrow"].limit_value == 2**31 - 1
    assert found["narrow"].of_column
    assert (found["narrow"].type_name, found["narrow"].fed) == ("public.key", "public.lines.id")
    assert found["narrow"].used_percent == pytest.approx(93.13, abs=0.01)
    assert (found["orders_line_seq"].limit_value, found["orders_line_seq"].of_column) == (32767, False)


def test_sequences_run_down_too(reader: Session, shop: Database) -> None:
    granted(shop)
    shop.execute("SELECT setval('down', -40), setval('alone', 50)")
    found = read(reader)
    assert found["down"].limit_value == -50
    assert found["down"].used_percent == pytest.approx(100 * 39 / 49)
    assert found["alone"].used_percent == pytest.approx(100 * 49 / 99)
    assert found["alone"].fed == ""


def test_what_cycles_or_was_never_used_does_not_end(reader: Session, shop: Database) -> None:
    granted(shop)
    shop.execute("SELECT setval('round', 9)")
    assert not {"round", "unused"} & read(reader).keys()


def test_a_role_without_the_grant_sees_none_and_says_so(reader: Session, shop: Database) -> None:
    shop.execute("SELECT setval('alone', 99)")
    reading = COLLECTOR.read(reader)
    assert reading.sequences == ()
    assert reading.counts.unreadable == reading.counts.sequences > 5


def test_a_sequence_that_is_being_altered_is_not_waited_for(reader: Session, shop: Database) -> None:
    granted(shop)
    shop.execute("SELECT setval('alone', 99), setval('down', -40)")
    with idle_in_transaction(shop.dsn(), "ALTER SEQUENCE alone INCREMENT 2"):
        reading = COLLECTOR.read(reader)
    assert [each.name for each in reading.sequences] == ["down"]
    assert reading.counts.locked == 1
    assert reading.unjudged == (("public", "alone"),)


def test_an_empty_database_has_none(reader: Session) -> None:
    assert COLLECTOR.read(reader).counts == (0, 0, 0)


def test_many_are_read_in_parts_and_the_nearest_of_all_parts_are_kept(
    reader: Session, shop: Database
) -> None:
    """A statement locks each sequence that it reads, and the server has room for some thousands of locks."""
    shop.execute(
        f"DO $$ BEGIN FOR n IN 1..{2 * PART} LOOP EXECUTE format('CREATE SEQUENCE s%s MAXVALUE 1000', n);"
        " PERFORM setval(format('s%s', n)::regclass, n); END LOOP; END $$"
    )
    granted(shop)
    reading = COLLECTOR.read(reader)
    assert [each.name for each in reading.sequences[:2]] == [f"s{2 * PART}", f"s{2 * PART - 1}"]
    assert (len(reading.sequences), reading.unread, reading.unjudged) == (MOST, 0, ())


def test_what_there_was_no_time_for_is_known_by_name(
    reader: Session, shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two parts the second."""
    shop.execute(
        f"DO $$ BEGIN FOR n IN 1..{PART} LOOP EXECUTE format('CREATE SEQUENCE s%s', n); END LOOP; END $$"
    )
    granted(shop)
    clock = iter((0.0, 0.0, 31.0))
    monkeypatch.setattr("collectors.sequences.time", SimpleNamespace(monotonic=lambda: next(clock)))
    reading = COLLECTOR.read(reader)
    assert reading.unread == 1
    assert reading.unjudged is not None
    named = {each.name for each in reading.unjudged}
    assert len(named) == reading.counts.sequences - PART
    assert f"s{PART}" in named
    assert "alone" not in named
