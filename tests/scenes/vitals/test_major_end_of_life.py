"""major_end_of_life: told half a year before, a warning from a month before, never more."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest

from alerts.rules import major_end_of_life as rule
from pgvigil.model.level import Level
from pgvigil.releases import Releases, split
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals

DAY_S = 86400.0


def test_the_end_of_a_version_comes_nearer_and_passes(
    database: Database, vitals: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = vitals({"major_end_of_life": {}})
    end = (datetime.now(UTC) + timedelta(days=200)).date()
    with closing(watching.watch(database.dsn())) as session:
        major, _ = split(session.facts.version_num)
        known = Releases(date(2026, 8, 31), {}, {major: end})
        monkeypatch.setattr(rule, "releases", lambda: known)
        scene.look(session)
        assert scene.open == {}
        scene.look(session, after_s=21 * DAY_S)
        told = scene.firing["major version"]
        assert (told.severity, told.summary[:40]) == (
            Level.INFO,
            f"Support of PostgreSQL {major} ends on {end}"[:40],
        )
        scene.look(session, after_s=150 * DAY_S)
        assert scene.firing["major version"].severity is Level.WARNING
        scene.look(session, after_s=500 * DAY_S)
        late = scene.firing["major version"]
        assert late.severity is Level.WARNING
        assert f"ended on {end}, " in late.summary
        monkeypatch.setattr(rule, "releases", lambda: Releases(date(2026, 8, 31), {}, {}))
        scene.look(session, after_s=300)  # upgraded, to a version of which nothing is known
        assert scene.open == {}
