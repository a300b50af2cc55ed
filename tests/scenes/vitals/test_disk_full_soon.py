"""A volume that fills up, one that is large enough, and one of which nobody said how large it is."""

from collections.abc import Callable

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.servers import Database
from tests.support.vitals import Vitals

HOUR = 3600.0
SUBJECT = "data volume"


def used(vitals: Vitals, reader: Session) -> float:
    volume: int | None = vitals.look(reader)["database_sizes"].rows.volume_bytes
    assert volume is not None
    return float(volume)


def grow(database: Database, megabytes: int) -> None:
    """Without a log of it, so that the volume grows by the table alone."""
    database.execute("CREATE UNLOGGED TABLE IF NOT EXISTS load (t text)")
    database.execute("ALTER TABLE load ALTER t SET STORAGE EXTERNAL")
    database.execute(f"INSERT INTO load SELECT repeat('x', 1000000) FROM generate_series(1, {megabytes})")


def test_a_volume_that_is_nearly_full_is_told_and_resolves(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    size = used(vitals({"disk_full_soon": {}}), reader) * 1.02
    seen = vitals({"disk_full_soon": {}}, disk_size_bytes=size)
    seen.look(reader)
    told = seen.firing[SUBJECT]
    assert told.severity is Level.CRITICAL
    assert told.summary.startswith("The data volume is 98 % full")
    seen.pipeline.disk_size_bytes = size * 2
    seen.look(reader, after_s=600)
    assert seen.open == {}


def test_one_that_fills_within_days_is_told_before(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    """5 MB an hour, and 500 MB are left."""
    size = used(vitals({"disk_full_soon": {}}), reader) + 500e6
    seen = vitals({"disk_full_soon": {}}, disk_size_bytes=size)
    for _ in range(8):
        grow(database, 5)
        seen.look(reader, after_s=HOUR)
    told = seen.firing[SUBJECT]
    assert told.severity is Level.WARNING
    assert "it is full in 3d" in told.summary or "it is full in 4d" in told.summary
    assert database.name in told.evidence.blocks[0].text.splitlines()[1]
    for _ in range(8):
        grow(database, 40)
        seen.look(reader, after_s=HOUR)
    assert seen.firing[SUBJECT].severity is Level.CRITICAL


def test_a_burst_that_ends_is_no_trend(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    seen = vitals(
        {"disk_full_soon": {}}, disk_size_bytes=used(vitals({"disk_full_soon": {}}), reader) + 100e6
    )
    for hour in range(12):
        if hour == 6:
            grow(database, 30)
        seen.look(reader, after_s=HOUR)
    assert seen.open == {}


def test_without_a_size_nothing_is_judged(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    seen = vitals({"disk_full_soon": {}})
    for _ in range(8):
        seen.look(reader, after_s=HOUR)
    assert seen.open == {}
