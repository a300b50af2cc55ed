"""The collector `database_stats` on real servers."""

from collectors.database_stats import COLLECTOR, DatabaseStats
from pgvigil.postgres.session import Session
from tests.support.deadlocks import deadlock
from tests.support.polling import poll
from tests.support.servers import Database


def of(reader: Session, name: str) -> DatabaseStats:
    (row,) = [row for row in COLLECTOR.read(reader).databases if row.database == name]
    return row


def test_every_database_and_the_shared_objects_are_counted(reader: Session, each_database: Database) -> None:
    rows = COLLECTOR.read(reader).databases
    names = {name for (name,) in each_database.execute("SELECT datname::text FROM pg_database")}
    assert {row.database for row in rows} >= names & {each_database.name, "postgres", "template1"}
    assert [row.oid for row in rows if row.database == ""] == [0]
    assert of(reader, each_database.name).backends >= 1


def test_work_and_sessions_are_counted(reader: Session, each_database: Database) -> None:
    before = of(reader, each_database.name)
    with each_database.connect() as worker:
        worker.execute("SET work_mem = '64kB'")
        worker.execute("CREATE TABLE t AS SELECT generate_series(1, 20000) AS id")
        worker.execute("SELECT count(*) FROM (SELECT id FROM t ORDER BY random()) AS sorted")
    poll(lambda: of(reader, each_database.name).temp_bytes > before.temp_bytes, 10, message="work is counted")
    after = of(reader, each_database.name)
    assert after.tup_inserted >= before.tup_inserted + 20000
    assert after.xact_commit > before.xact_commit
    if reader.facts.has("pg_stat_database.sessions"):
        assert (after.sessions or 0) > (before.sessions or 0)
    else:
        assert (after.sessions, after.session_time_ms) == (None, None)


def test_a_deadlock_is_counted(reader: Session, each_database: Database) -> None:
    deadlock(each_database)
    poll(lambda: of(reader, each_database.name).deadlocks == 1, 10, message="the deadlock is counted")
    samples = {sample.key: sample.value for sample in COLLECTOR.series["deadlocks"](COLLECTOR.read(reader))}
    assert samples[each_database.name] == 1


def test_a_reset_begins_another_epoch(reader: Session, each_database: Database) -> None:
    before = of(reader, each_database.name).epoch
    each_database.execute("SELECT pg_stat_reset()")
    poll(lambda: of(reader, each_database.name).epoch != before, 10, message="the reset shows")


def test_a_family_has_a_sample_for_each_database(reader: Session, each_database: Database) -> None:
    reading = COLLECTOR.read(reader)
    families = {family.name: family for family in COLLECTOR.families}
    commits = families["database_xact_commit"]
    labels = {commits.labels["database"](row) for row in commits.rows(reading)}
    assert each_database.name in labels
    assert list(families["database_conflicts"].rows(reading)) == []
