"""timeline_changed: a server that answers on another timeline with the same role says so."""

from collections.abc import Callable
from dataclasses import replace

from collectors.cluster import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.pairs import promote, start_pair, watched
from tests.support.servers import StartServer
from tests.support.vitals import Vitals


def test_an_address_that_moves_to_a_promoted_server_shows_another_timeline(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    """As behind a virtual address: it was a primary and is one, and the log goes on elsewhere."""
    primary, standby = start_pair(start_server)
    scene = vitals({"role_changed": {}, "timeline_changed": {}})
    with watched(primary, standby) as (here, there):
        scene.look(here)
        scene.look(here, after_s=600)
        assert scene.open == {}
        promote(standby)
        scene.look(there, after_s=10)
        assert list(scene.firing) == ["timeline"]
        told = scene.firing["timeline"]
        assert told.severity is Level.WARNING
        assert told.summary.startswith("The server is on timeline 2, and was on 1; between ")
        scene.look(there, after_s=3601)
        assert scene.open == {}


def test_another_cluster_at_the_same_address_is_no_change(
    reader: Session, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"role_changed": {}, "timeline_changed": {}})
    snapshot = scene.look(reader)["cluster"]
    assert snapshot.collector == COLLECTOR.name
    for identifier, timeline in ((1, 7), (2, 3)):
        scene.wait(10)
        rows = replace(snapshot.rows, system_identifier=identifier, timeline=timeline)
        scene.take(replace(snapshot, rows=rows, taken_at=scene.now().utc), reader)
    assert scene.open == {}
