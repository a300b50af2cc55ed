"""The collector `io` on real servers."""

from collectors.io import COLLECTOR, IO
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database


def test_what_a_session_reads_and_writes_is_counted_from_16_on(
    reader: Session, each_database: Database
) -> None:
    if reader.facts.version_num < 160000:
        assert not IO.asks(reader.facts)
        assert COLLECTOR.read(reader) == ()
        return

    def extended() -> int:
        rows = COLLECTOR.read(reader)
        return sum(row.extend_bytes or 0 for row in rows if row.backend_type == "client backend")

    before = extended()
    each_database.execute("CREATE TABLE t AS SELECT generate_series(1, 20000) AS id")
    poll(lambda: extended() >= before + 20000 * 30, 10, message="the growth of the table is counted")


def test_times_are_exported_in_seconds(reader: Session) -> None:
    rows = COLLECTOR.read(reader)
    (family,) = [each for each in COLLECTOR.families if each.name == "io_fsync_seconds"]
    for row in rows:
        assert (family.value(row) or 0) == (row.fsync_time_ms or 0) / 1000


def test_what_never_happened_is_not_exported(reader: Session) -> None:
    """Hundreds of zeros a server would be most of what a scrape carries."""
    rows = COLLECTOR.read(reader)
    values = [family.value(row) for family in COLLECTOR.families for row in family.rows(rows)]
    assert 0 not in values
    assert any(values) or not rows
