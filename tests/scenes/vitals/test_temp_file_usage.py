"""A database whose statements spill all the time, and one with a report now and then."""

from collections.abc import Callable

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database
from tests.support.vitals import Vitals


def spill(database: Database) -> None:
    """Some 5 MB; the counter has it when we return."""
    counter = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"
    [(before,)] = database.execute(counter)
    with database.connect() as connection:
        connection.execute("SET work_mem = '64kB'; SET max_parallel_workers_per_gather = 0")
        connection.execute(
            "SELECT count(*) FROM (SELECT md5(i::text) FROM generate_series(1, 50000) AS i ORDER BY 1 OFFSET 1) AS t"
        )
    poll(lambda: database.execute(counter)[0][0] > before, 10)


def subject(database: Database) -> str:
    return f"temporary files of database {database.name}"


def test_it_is_told_and_resolves(vitals: Callable[..., Vitals], database: Database, reader: Session) -> None:
    """Megabytes stand for gigabytes."""
    seen = vitals({"temp_file_usage": {"warning": "8MB", "info": "1MB"}})
    for _ in range(7):
        seen.look(reader, after_s=600)
        spill(database)
    told = seen.firing[subject(database)]
    assert told.severity is Level.WARNING
    assert "MB an hour to temporary files" in told.summary
    for _ in range(20):
        seen.look(reader, after_s=600)
    assert subject(database) not in seen.open


def test_a_report_is_no_news(vitals: Callable[..., Vitals], database: Database, reader: Session) -> None:
    seen = vitals({"temp_file_usage": {}})
    seen.look(reader)
    spill(database)
    for _ in range(12):
        seen.look(reader, after_s=600)
    assert subject(database) not in seen.open
