"""checksums_off: told where pages carry none, and gone once they do."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.checksums import switch
from tests.support.vitals import Vitals


def look(scene: Vitals, server: ScratchServer) -> None:
    with closing(watching.watch(server.dsn())) as session:
        scene.look(session, after_s=300)


def test_a_cluster_without_checksums_is_told_until_they_are_enabled(
    own_server: ScratchServer, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"checksums_off": {}})
    look(scene, own_server)
    if not scene.open:
        switch(own_server, "--disable")
        look(scene, own_server)
    assert scene.firing["data checksums"].severity is Level.INFO
    switch(own_server, "--enable")
    look(scene, own_server)
    assert scene.open == {}
