"""A statement that spills, and one that spills little."""

from collections.abc import Callable

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.pg.collectors.test_temp_files import spilling
from tests.support.servers import Database
from tests.support.vitals import Vitals

SUBJECT = "temporary files"


def test_it_is_told_with_its_session_and_resolves(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    """Megabytes stand for gigabytes."""
    seen = vitals({"live_temp_files": {"warning": "10MB", "clear": "1MB"}})
    with spilling(database) as connection:
        seen.look(reader)
        assert seen.firing == {}  # it may be over in a moment
        seen.look(reader, after_s=60)
        told = seen.firing[SUBJECT]
        assert told.severity is Level.WARNING
        assert f"pid {connection.info.backend_pid} (report, user" in told.summary
        assert told.evidence.blocks[1].text == "FETCH $1 FROM c"
    seen.look(reader, after_s=60)
    assert seen.open == {}


def test_a_part_of_the_disk_is_critical(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    seen = vitals({"live_temp_files": {}}, disk_size_bytes=40e6)
    with spilling(database):
        seen.look(reader)
        seen.look(reader, after_s=60)
        assert seen.firing[SUBJECT].severity is Level.CRITICAL


def test_the_step_ends_it(vitals: Callable[..., Vitals], database: Database, reader: Session) -> None:
    seen = vitals({"live_temp_files": {"for": "0s", "warning": "10MB", "clear": "1MB"}})
    with spilling(database):
        seen.look(reader)
        (cancel,) = [step.sql for step in seen.firing[SUBJECT].steps if "cancel" in (step.sql or "")]
        assert database.execute(cancel) == [(True,)]


def test_a_report_that_spills_some_is_no_news(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    seen = vitals({"live_temp_files": {}})
    with spilling(database):
        for _ in range(5):
            seen.look(reader, after_s=60)
    assert seen.open == {}
