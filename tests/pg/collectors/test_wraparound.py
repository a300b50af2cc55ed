"""wraparound: the ages of all databases, and the counters that give ids out."""

from collections.abc import Iterator

import psycopg
import pytest

from collectors.wraparound import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.servers import Database


@pytest.fixture
def blocked_checkpoint(each_database: Database) -> Iterator[None]:
    """Somebody took pg_control_checkpoint() from PUBLIC; it is per database."""
    each_database.execute("REVOKE EXECUTE ON FUNCTION pg_control_checkpoint() FROM PUBLIC")
    return


def test_every_database_counts_also_templates_and_closed_ones(
    reader: Session, each_database: Database
) -> None:
    rows = {each.name: each for each in COLLECTOR.read(reader).databases}
    assert {"template0", "template1", "postgres", each_database.name} <= rows.keys()
    assert not rows["template0"].connectable
    [(age,)] = each_database.execute("SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'template0'")
    assert 0 < rows["template0"].xids <= age


def test_reading_takes_no_transaction_id_and_others_are_counted(
    reader: Session, each_database: Database
) -> None:
    first = COLLECTOR.read(reader).counters.next_xid
    each_database.execute("CREATE TABLE t ()")
    second = COLLECTOR.read(reader).counters.next_xid
    assert second > first
    [(following,)] = each_database.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8")
    assert following >= second


def test_multixacts_and_their_members_are_counted(reader: Session, each_database: Database) -> None:
    """Two sessions that lock one row make a multixact of two members."""
    each_database.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    before = COLLECTOR.read(reader)
    with (
        psycopg.connect(each_database.dsn()) as one,
        psycopg.connect(each_database.dsn()) as other,
    ):
        one.execute("SELECT FROM t FOR SHARE")
        other.execute("SELECT FROM t FOR SHARE")
    each_database.execute("CHECKPOINT")
    after = COLLECTOR.read(reader)
    assert before.checkpointed is not None
    assert after.checkpointed is not None
    assert after.next_multixact > before.next_multixact
    assert after.checkpointed.next_member >= before.checkpointed.next_member + 2
    assert after.checkpointed.next_multixact == after.next_multixact


@pytest.mark.usefixtures("blocked_checkpoint")
def test_without_the_control_file_all_but_the_members_is_read(reader: Session) -> None:
    reading = COLLECTOR.read(reader)
    assert reading.checkpointed is None
    assert reading.databases


def test_the_families_have_a_sample_for_each_database(reader: Session) -> None:
    reading = COLLECTOR.read(reader)
    values = {
        family.name: [family.value(row) for row in family.rows(reading)] for family in COLLECTOR.families
    }
    assert values["transaction_ids"] == [reading.counters.next_xid]
    assert len(values["database_unfrozen_xids"]) == len(reading.databases) >= 4
