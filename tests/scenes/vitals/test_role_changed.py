"""role_changed: a promotion is one warning with old, new and timeline, for an hour, and the timeline is part of it."""

from collections.abc import Callable

from pgvigil.model.level import Level
from tests.support.pairs import promote, start_pair, watched
from tests.support.servers import StartServer
from tests.support.vitals import Vitals


def test_a_promotion_is_one_message_for_an_hour(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    primary, standby = start_pair(start_server)
    scene = vitals({"role_changed": {}, "timeline_changed": {}})
    with watched(primary, standby) as (_, there):
        scene.look(there)
        scene.look(there, after_s=600)
        assert scene.open == {}
        promote(standby)
        scene.look(there, after_s=10)
        assert list(scene.firing) == ["role"]
        told = scene.firing["role"]
        assert told.severity is Level.WARNING
        assert told.summary.startswith(
            "The server was promoted: it was a standby, and is the primary (timeline 1 to 2); between "
        )
        scene.look(there, after_s=1800)
        assert list(scene.firing) == ["role"]
        scene.look(there, after_s=1801)
        assert scene.open == {}
