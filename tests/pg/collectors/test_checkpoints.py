"""The collector `checkpoints` on real servers."""

from collectors.checkpoints import COLLECTOR, Checkpoints
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database


def read(reader: Session) -> Checkpoints:
    reading: Checkpoints = COLLECTOR.read(reader)
    return reading


def test_a_checkpoint_that_somebody_asks_for_is_counted(reader: Session, each_database: Database) -> None:
    before = read(reader)
    each_database.execute("CREATE TABLE t (id int)")
    each_database.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    each_database.execute("CHECKPOINT")
    poll(lambda: read(reader).requested > before.requested, 10, message="the checkpoint is counted")
    after = read(reader)
    assert after.buffers_written > before.buffers_written
    assert (after.buffers_backend is None) == (reader.facts.version_num >= 170000)
    assert (after.restartpoints_done is None) == (reader.facts.version_num < 170000)
    assert after.position_bytes is not None
    assert before.position_bytes is not None
    assert after.position_bytes > before.position_bytes


def test_the_settings_are_in_bytes_and_seconds(reader: Session, each_database: Database) -> None:
    [(size, timeout, target)] = each_database.execute(
        "SELECT pg_size_bytes(current_setting('max_wal_size')),"
        " (SELECT setting::float8 FROM pg_settings WHERE name = 'checkpoint_timeout'),"
        " current_setting('checkpoint_completion_target')::float8"
    )
    reading = read(reader)
    found = reading.max_wal_size_bytes, reading.checkpoint_timeout_s, reading.completion_target
    assert found == (size, timeout, target)
