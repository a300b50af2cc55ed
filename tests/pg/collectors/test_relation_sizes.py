"""relation_sizes: the largest tables, and none that is locked."""

from collectors.relation_sizes import COLLECTOR, MOST
from pgvigil.postgres.session import Session
from tests.support.locks import idle_in_transaction
from tests.support.servers import Database


def test_the_largest_comes_first_with_its_indexes(reader: Session, each_database: Database) -> None:
    each_database.execute(
        "CREATE TABLE big AS SELECT i, repeat('x', 500) AS t FROM generate_series(1, 5000) AS i;"
        "CREATE INDEX ON big (i); CREATE TABLE small (i int)"
    )
    with each_database.connect() as connection:
        connection.execute("VACUUM ANALYZE big")
    first = COLLECTOR.read(reader).relations[0]
    assert first.name == "big"
    assert first.total_bytes == (first.table_bytes or 0) + (first.index_bytes or 0)
    assert (first.index_bytes or 0) > 50_000


def test_a_locked_table_is_not_waited_for(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE TABLE held (id int PRIMARY KEY)")
    with idle_in_transaction(each_database.dsn(), "ALTER TABLE held ADD note text"):
        rows = {each.name: each for each in COLLECTOR.read(reader).relations}
    assert rows["held"].locked
    assert rows["held"].total_bytes is None


def test_a_lock_on_an_index_alone_counts_too(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE TABLE held (id int); CREATE INDEX held_id ON held (id)")
    with idle_in_transaction(each_database.dsn(), "REINDEX INDEX held_id"):
        rows = {each.name: each for each in COLLECTOR.read(reader).relations}
    assert rows["held"].locked


def test_there_are_never_more_than_the_most(reader: Session) -> None:
    assert len(COLLECTOR.read(reader).relations) <= MOST
