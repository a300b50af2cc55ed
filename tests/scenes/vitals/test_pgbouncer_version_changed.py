"""Another version of PgBouncer answers than before.

There is one version on this machine, so that what it tells is changed on its way to the rule.
"""

from collections.abc import Callable
from dataclasses import replace

from collectors.pgbouncer_server import PgbouncerReading
from pgvigil.model.snapshot import Snapshot
from tests.support import poolers
from tests.support.pooled import PooledScene, pooled_scene
from tests.support.servers import Database
from tests.support.vitals import Vitals

RULES: dict[str, dict[str, object]] = {"pgbouncer_version_changed": {}, "pgbouncer_setting_changed": {}}


def upgraded(scene: PooledScene, reading: Snapshot[PgbouncerReading], version: str, **settings: str) -> None:
    """A reading as `version` would give it, a minute later."""
    scene.vitals.wait(60)
    rows = replace(reading.rows, version=version, settings={**reading.rows.settings, **settings})
    now = scene.vitals.now()
    scene.vitals.take(replace(reading, rows=rows, taken_at=now.utc, mono_s=now.mono_s), scene.session)


def test_an_upgrade_is_info_for_a_day_and_its_new_settings_are_no_news(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    with pooled_scene(vitals, start_pooler, database.dsn(), RULES) as scene:
        reading = scene.vitals.look(scene.session)["pgbouncer_server"]
        scene.look(after_s=60)
        assert scene.vitals.open == {}
        upgraded(scene, reading, "1.99.0", a_new_setting="1")
        (incident,) = scene.vitals.firing.values()
        assert (incident.rule, incident.severity.word) == ("pgbouncer_version_changed", "info")
        assert incident.summary.startswith(f"PgBouncer is 1.99.0 and was {reading.rows.version}, since 20")
        scene.vitals.wait(86_400)
        upgraded(scene, reading, "1.99.0", a_new_setting="1")
        assert scene.vitals.open == {}


def test_several_poolers_behind_one_address_are_guessed(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    with pooled_scene(vitals, start_pooler, database.dsn(), RULES) as scene:
        reading = scene.vitals.look(scene.session)["pgbouncer_server"]
        for version in ("1.99.0", "1.98.0", "1.99.0"):
            upgraded(scene, reading, version)
        (incident,) = scene.vitals.firing.values()
        assert "so_reuseport" in incident.evidence.cause
