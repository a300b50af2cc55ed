"""connection_churn: after a while without readings nothing is known, and nothing has recovered."""

from datetime import timedelta
from typing import Any

from alerts.rules.connection_churn import RULE
from collectors.database_stats import DATABASE_STATS, DatabaseStats, DatabaseStatsReading
from pgvigil.model.finding import NOTHING
from pgvigil.model.series import Point
from tests.support.readings import NOW, context, snapshot


def test_a_reading_after_a_gap_recovers_nothing() -> None:
    nothing: dict[str, Any] = {column.name: 0 for column in DATABASE_STATS.columns}
    empty = DatabaseStats(**nothing)
    reading = DatabaseStatsReading((empty._replace(database="shop", stats_reset=None),))
    points = (Point(NOW - timedelta(hours=1), 5.0), Point(NOW, 90_000.0))
    judged = RULE.evaluate(
        snapshot(reading, "database_stats"), RULE.params(), context(history=lambda _series, _key="": points)
    )
    assert judged.findings == ()
    assert judged.scope == NOTHING
