"""archiver_failing where the role may not list what waits: by the failures that were counted."""

from datetime import timedelta

import pytest

from alerts.rules.archiver_failing import RULE
from collectors.archiver import Archiver, ArchiverReading
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from tests.support.readings import NOW, context, snapshot


@pytest.mark.parametrize(
    ("failing_min", "levels"), [(1, []), (10, [Level.WARNING]), (90, [Level.CRITICAL])], ids=str
)
def test_hours_without_anything_to_archive_are_no_failure(failing_min: int, levels: list[Level]) -> None:
    """The last success is five hours ago, because nothing was written; failures began since."""
    archived, failed = NOW - timedelta(hours=5), NOW - timedelta(seconds=5)
    minutes = range(6 * 60, -1, -1)
    points = [Point(NOW - timedelta(minutes=each), 7.0 + max(0, failing_min - each)) for each in minutes]
    archiver = Archiver(
        True, True, 16 * 1024**2, 9, "1", archived, 5 * 3600.0, 8, "2", failed, 5.0, None, may_list=False
    )
    judged = RULE.evaluate(
        snapshot(ArchiverReading(archiver=archiver, ready=None), "archiver"),
        RULE.params(),
        context(history=lambda series, _key="": points if series == "failed" else ()),
    )
    assert [finding.level for finding in judged.findings] == levels
