"""sequence_exhaustion: what is softened because the end seems far, and what is not."""

from datetime import timedelta

import pytest

from alerts.rules.sequence_exhaustion import RULE
from collectors.sequences import Counts, Sequence, SequencesReading
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from tests.support.readings import NOW, context, snapshot


@pytest.mark.parametrize(
    ("percent", "hours", "level"),
    [(96.0, 60, Level.CRITICAL), (96.0, 8 * 24, Level.INFO), (85.0, 60, Level.INFO)],
)
def test_a_weekend_without_work_does_not_soften_what_is_critical(
    percent: float, hours: int, level: Level
) -> None:
    """From Friday evening on nothing is inserted; on Monday it would have been told as info when it ends."""
    points = [Point(NOW - timedelta(hours=hour), percent) for hour in range(hours, -1, -1)]
    row = Sequence(1, "public", "ids", None, None, None, None, int(percent), 100, 1, False, percent)
    reading = SequencesReading(sequences=(row,), counts=Counts(1, 0, 0))
    judged = RULE.evaluate(
        snapshot(reading, "sequences", database="shop"),
        RULE.params(),
        context(history=lambda _series, _key="": points),
    )
    assert [finding.level for finding in judged.findings] == [level]
