"""checksums_off: told where pages carry none, and gone once they do."""

import subprocess
from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.vitals import Vitals


def switch(server: ScratchServer, how: str) -> None:
    """With the server's own tool, which needs it stopped."""
    server.stop()
    owner = server.data.stat()
    subprocess.run(
        [server.binaries.program("pg_checksums"), how, "-D", server.data],
        check=True,
        capture_output=True,
        user=owner.st_uid,
        group=owner.st_gid,
        cwd=server.data,
    )
    server.start_again()


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
