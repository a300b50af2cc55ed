"""archiver_behind: an archiver that hangs is told while files gather, and resolves when they have gone."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg

from collectors.archiver import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

SMALL = {"archiver_behind": {"warning": "64MB", "critical": "1GB", "clear": "16MB"}}


def hanging(start_server: StartServer) -> tuple[ScratchServer, Path]:
    """Its command neither fails nor ends before the gate exists; commands run in the folder of the data."""
    command = "while [ ! -e gate ]; do sleep 0.05; done"
    server = start_server(settings={"archive_mode": "on", "wal_level": "replica", "archive_command": command})
    return server, server.data / "gate"


def switch(server: ScratchServer) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("SELECT pg_logical_emit_message(false, 'test', 'a')")
        admin.execute("SELECT pg_switch_wal()")


def test_files_that_gather_are_told_until_they_are_archived(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    server, gate = hanging(start_server)
    scene = vitals(SMALL)
    with closing(watching.watch(server.dsn())) as session:
        for _ in range(6):
            switch(server)
            scene.look(session, after_s=60)
        assert scene.firing == {}
        for _ in range(10):
            scene.look(session, after_s=60)
        incident = scene.firing["WAL archiving"]
        assert incident.severity is Level.WARNING
        assert incident.summary == "The archiver does not keep up: 6 files wait (96.0 MB)"
        gate.touch()
        poll(lambda: COLLECTOR.read(session).ready.files == 0, 20, message="nothing waits")
        scene.look(session, after_s=60)
        assert scene.open == {}


def test_files_that_get_fewer_are_not_told(start_server: StartServer, vitals: Callable[..., Vitals]) -> None:
    """A burst: many files at once, and then fewer at each look. They are real, and taken away one by one."""
    server, gate = hanging(start_server)
    scene = vitals(SMALL)
    with closing(watching.watch(server.dsn())) as session:
        for _ in range(20):
            switch(server)
        waiting = sorted((server.data / "pg_wal" / "archive_status").glob("*.ready"), reverse=True)
        for path in waiting[:14]:
            scene.look(session, after_s=60)
            path.rename(path.with_suffix(".done"))
        assert scene.firing == {}
        gate.touch()


def test_archiving_that_nobody_set_up_is_told_as_that(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    server = start_server(settings={"archive_mode": "on", "wal_level": "replica", "archive_command": ""})
    scene = vitals({"archiver_behind": {"warning": "16MB", "clear": "0B", "for": "0s"}})
    with closing(watching.watch(server.dsn())) as session:
        switch(server)
        scene.look(session)
        incident = scene.firing["WAL archiving"]
        assert incident.summary.startswith("archive_mode is on without a command or library: 1 file waits")
