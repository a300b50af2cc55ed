"""standby_disconnected: a standby that stops receiving says so, and how far it is behind; one that streams does not."""

from collections.abc import Callable

from collectors.wal_receiver import COLLECTOR
from pgvigil.model.level import Level
from tests.support.pairs import start_pair, watched
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals


def test_a_standby_without_its_primary_says_so(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    primary, standby = start_pair(start_server, wal_retrieve_retry_interval="100ms")
    scene = vitals({"standby_disconnected": {}})
    with watched(primary, standby) as (_, there):
        poll(lambda: COLLECTOR.read(there).streaming, 20)
        scene.look(there)
        scene.look(there, after_s=600)
        assert scene.open == {}
        primary.stop("immediate")
        poll(lambda: COLLECTOR.read(there).receiver is None, 20)
        scene.look(there, after_s=10)
        assert scene.firing == {}
        scene.look(there, after_s=121)
        told = scene.firing["upstream"]
        assert told.severity is Level.WARNING
        assert told.summary == "This standby does not stream from its primary: nothing receives"
        primary.start_again()
        poll(lambda: COLLECTOR.read(there).streaming, 20)
        scene.look(there, after_s=10)
        assert scene.open == {}
