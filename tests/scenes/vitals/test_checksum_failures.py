"""checksum_failures: a page that a disk damaged is critical, in the database that it is of."""

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.checksums import switch
from tests.support.polling import poll
from tests.support.vitals import Vitals

WEEK_S = 7 * 86400.0


def damage(server: ScratchServer) -> None:
    """A byte in the second page of a table, while the server is down."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(
            "CREATE TABLE ledger AS SELECT i, repeat('x', 500) AS text FROM generate_series(1, 60) AS i"
        )
        admin.execute("CHECKPOINT")
        (path,) = admin.execute("SELECT pg_relation_filepath('ledger')").fetchone() or ()
    server.stop()
    with (server.data / path).open("r+b") as file:
        file.seek(8192 + 7000)
        file.write(b"\x00\x01\x02")
    server.start_again()


def test_a_damaged_page_is_critical_for_a_week_after_it_was_read(
    own_server: ScratchServer, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"checksum_failures": {}, "checksums_off": {}})
    with closing(watching.watch(own_server.dsn())) as session:
        scene.look(session)
    if scene.open:
        switch(own_server, "--enable")
    damage(own_server)
    with closing(watching.watch(own_server.dsn())) as session:
        scene.look(session, after_s=60)
        assert scene.open == {}  # nobody has read it yet
        with psycopg.connect(own_server.dsn()) as reader, pytest.raises(psycopg.errors.DataCorrupted):
            reader.execute("SELECT count(text) FROM ledger")

        def told() -> bool:
            scene.look(session, after_s=60)
            return bool(scene.firing)

        poll(told, 10, message="the failure is counted")
        (incident,) = scene.firing.values()
        assert (incident.severity, incident.database) == (Level.CRITICAL, "postgres")
        assert incident.summary.startswith(
            "1 data page failed the checksum in database postgres, the last at "
        )
        scene.look(session, after_s=WEEK_S + 60)
        assert scene.open == {}
