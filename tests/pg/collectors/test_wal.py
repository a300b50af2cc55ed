"""The collector `wal` on real servers."""

from collectors.wal import COLLECTOR, WalReading
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database


def read(reader: Session) -> WalReading:
    reading: WalReading = COLLECTOR.read(reader)
    return reading


def write(database: Database) -> None:
    """At least 300,000 bytes of WAL: rows into a table that is there already are logged at any wal_level."""
    database.execute("CREATE TABLE IF NOT EXISTS t (id int)")
    database.execute("INSERT INTO t SELECT generate_series(1, 10000)")


def test_what_is_written_moves_the_position(reader: Session, each_database: Database) -> None:
    before = read(reader)
    write(each_database)
    after = read(reader)
    assert before.position.position_bytes is not None
    assert after.position.position_bytes is not None
    assert after.position.position_bytes > before.position.position_bytes + 10000 * 30
    (sample,) = COLLECTOR.series["position_bytes"](after)
    assert sample.value == after.position.position_bytes
    assert sample.epoch == after.position.timeline


def test_the_directory_holds_whole_files(reader: Session) -> None:
    directory = read(reader).directory
    assert directory is not None
    assert directory.files >= 1
    assert directory.size_bytes == directory.files * 16 * 1024 * 1024


def test_statistics_are_there_from_14_on_and_writes_until_17(
    reader: Session, each_database: Database
) -> None:
    stats = read(reader).stats
    if reader.facts.version_num < 140000:
        assert stats is None
        return
    assert stats is not None
    assert (stats.writes is None) == (reader.facts.version_num >= 180000)
    write(each_database)

    def grown() -> bool:
        now = read(reader).stats
        return now is not None and now.bytes > stats.bytes + 10000 * 30

    poll(grown, 10, message="the WAL is counted")
