"""bloat: the estimate against what the server makes of the same rows; and what cannot be told."""

from collections.abc import Iterator

import pytest

from collectors.bloat import COLLECTOR, HIDDEN, NEVER, STALE, Bloat
from pgvigil.postgres.session import Session
from tests.support.counting import vacuum_analyze
from tests.support.polling import poll
from tests.support.servers import Database
from tests.support.watching import ROLE, psql

ROWS = 60_000


@pytest.fixture
def shop(each_database: Database) -> Database:
    """Fresh tables and indexes, as close as the server packs them: of fixed width, and with texts and nulls."""
    each_database.execute(
        "CREATE TABLE fixed (id bigint, flag bool, amount int, day timestamptz, small int2, key uuid)"
        " WITH (autovacuum_enabled = off);"
        "INSERT INTO fixed SELECT i, true, i, now(), 1, md5(i::text)::uuid"
        f" FROM generate_series(1, {ROWS}) AS i; CREATE UNIQUE INDEX fixed_id ON fixed (id);"
        "CREATE UNIQUE INDEX fixed_two ON fixed (amount, key);"
        "CREATE TABLE texts (id int, note text, city varchar(40), gone text) WITH (autovacuum_enabled = off);"
        "INSERT INTO texts SELECT i, repeat('x', i % 60), CASE WHEN i % 3 = 0 THEN 'Wien' END, NULL"
        f" FROM generate_series(1, {ROWS}) AS i; CREATE UNIQUE INDEX texts_note ON texts (note, id);"
        "CREATE UNIQUE INDEX texts_lower ON texts (lower(note), id);"
    )
    vacuum_analyze(each_database, "fixed")
    vacuum_analyze(each_database, "texts")
    return each_database


@pytest.fixture
def granted(reader: Session, shop: Database) -> Iterator[None]:
    """After the session is there, whose role is first held to what it has.

    What the problem of a reading asks for, but for 13, which has no such role: there, table by table.
    """
    assert not reader.facts.superuser
    role = '"' + ROLE.replace('"', '""') + '"'
    if shop.server.version_num < 140000:
        psql(shop.dsn(), f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        yield
        return
    psql(shop.dsn(), f"GRANT pg_read_all_data TO {role}")
    yield
    psql(shop.dsn(), f"REVOKE pg_read_all_data FROM {role}")


def read(reader: Session) -> dict[str, Bloat]:
    return {each.candidate.name: each for each in COLLECTOR.read(reader).relations}


def test_without_any_grant_fixed_widths_are_told_and_others_said_to_be_hidden(
    reader: Session, shop: Database
) -> None:
    assert shop
    found = read(reader)
    for name in ("fixed", "fixed_id", "fixed_two"):
        assert found[name].percent < 5
        assert found[name].needed_bytes == pytest.approx(found[name].candidate.size_bytes, rel=0.06)
    assert {found[name].why for name in ("texts", "texts_note", "texts_lower")} == {HIDDEN}


@pytest.mark.usefixtures("granted")
def test_with_the_grant_texts_nulls_and_expressions_are_told_too(reader: Session, shop: Database) -> None:
    """The statistics of an expression belong to the index, which 13 can grant to nobody."""
    found = read(reader)
    expression = () if shop.server.version_num < 140000 else ("texts_lower",)
    for name in ("texts", "texts_note", *expression):
        assert found[name].needed_bytes == pytest.approx(found[name].candidate.size_bytes, rel=0.12), name
        assert found[name].percent < 8


def test_after_most_rows_are_gone_most_of_it_is_bloat(reader: Session, shop: Database) -> None:
    shop.execute("DELETE FROM fixed WHERE id % 10 <> 0 AND id < 59000")
    vacuum_analyze(shop, "fixed")
    found = read(reader)
    assert found["fixed"].percent == pytest.approx(88, abs=4)
    assert found["fixed_id"].percent == pytest.approx(88, abs=5)
    shop.execute("REINDEX INDEX fixed_id; ANALYZE fixed")
    assert "fixed_id" not in read(reader)


def test_a_lower_fill_factor_is_no_bloat(reader: Session, shop: Database) -> None:
    shop.execute("ALTER TABLE fixed SET (fillfactor = 50)")
    shop.execute("VACUUM FULL fixed")
    vacuum_analyze(shop, "fixed")
    assert read(reader)["fixed"].percent < 5


@pytest.mark.usefixtures("granted")
def test_what_was_never_analyzed_or_has_changed_since_is_not_told(reader: Session, shop: Database) -> None:
    shop.execute("CREATE TABLE fresh (id int, note text) WITH (autovacuum_enabled = off)")
    shop.execute(f"INSERT INTO fresh SELECT i, 'x' FROM generate_series(1, {ROWS}) AS i")
    shop.execute("VACUUM fresh")
    poll(lambda: read(reader)["fresh"].why in {NEVER, STALE}, message="the rows are counted")
    shop.execute("UPDATE fixed SET amount = 0")
    shop.execute("VACUUM fixed")
    poll(lambda: read(reader)["fixed"].why == STALE, message="the change is counted")
