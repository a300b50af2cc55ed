"""Settings of a real PgBouncer change, by its file and by its console."""

from collections.abc import Callable

from tests.support import poolers
from tests.support.pooled import pooled_scene
from tests.support.servers import Database
from tests.support.vitals import Vitals


def test_a_change_is_told_for_a_day_with_what_it_was(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    with pooled_scene(vitals, start_pooler, database.dsn(), {"pgbouncer_setting_changed": {}}) as scene:
        scene.look()
        scene.look(after_s=60)
        assert scene.vitals.open == {}, "nothing changed"
        scene.pooler.configure(default_pool_size=4)
        scene.look(after_s=60)
        (incident,) = scene.vitals.firing.values()
        assert incident.severity.word == "info"
        assert incident.summary == "default_pool_size was changed from 1 to 4"
        scene.pooler.admin("SET query_timeout = 30")
        scene.look(after_s=60)
        (incident,) = scene.vitals.firing.values()
        assert incident.summary == "2 settings of PgBouncer changed: default_pool_size, query_timeout"
        (block,) = incident.evidence.blocks
        assert "query_timeout" in block.text
        scene.look(after_s=86_500)
        assert scene.vitals.open == {}
