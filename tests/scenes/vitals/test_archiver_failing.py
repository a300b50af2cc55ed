"""archiver_failing: a command that fails is told by how long files wait, and resolves with the next success."""

import os
from collections.abc import Callable
from contextlib import closing

import psycopg

from collectors.archiver import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

ARCHIVING = {"archive_mode": "on", "wal_level": "replica"}


def switch(server: ScratchServer, times: int) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for _ in range(times):
            admin.execute("SELECT pg_logical_emit_message(false, 'test', 'a')")
            admin.execute("SELECT pg_switch_wal()")


def age(server: ScratchServer, seconds: float) -> None:
    """The files that wait have waited so long: the server goes by their modification time."""
    for path in (server.data / "pg_wal" / "archive_status").glob("*.ready"):
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))


def until(session: Session, *, failing: bool) -> None:
    poll(
        lambda: COLLECTOR.read(session).archiver.failing is failing,
        20,
        message=f"the archiver fails: {failing}",
    )


def test_it_is_told_by_how_long_files_wait_and_resolves_with_the_next_success(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    server = start_server(settings={**ARCHIVING, "archive_command": "/bin/false"})
    scene = vitals(
        {"archiver_failing": {}, "archiver_behind": {"warning": "16MB", "clear": "0B", "for": "0s"}}
    )
    with closing(watching.watch(server.dsn())) as session:
        scene.look(session)
        switch(server, 2)
        until(session, failing=True)
        age(server, 400)
        scene.look(session, after_s=60)
        incident = scene.firing["WAL archiving"]
        assert (incident.rule, incident.severity) == ("archiver_failing", Level.WARNING)
        assert incident.summary.startswith("Archiving of WAL has failed for 6m")
        assert incident.summary.endswith("2 files wait (32.0 MB)")
        age(server, 3600)
        scene.look(session, after_s=60)
        assert scene.firing["WAL archiving"].severity is Level.CRITICAL
        told = {each.rule for each in scene.firing.values() if each.suppressed_by is None}
        assert told == {"archiver_failing"}
        server.reload({"archive_command": "/bin/true"})
        until(session, failing=False)
        poll(lambda: COLLECTOR.read(session).ready.files == 0, 20, message="nothing waits")
        scene.look(session, after_s=60)
        assert scene.open == {}


def test_a_failure_of_a_moment_is_silent_and_so_is_an_archive_that_works(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    server = start_server(settings={**ARCHIVING, "archive_command": "/bin/false"})
    scene = vitals({"archiver_failing": {}, "archiver_behind": {}})
    with closing(watching.watch(server.dsn())) as session:
        switch(server, 1)
        until(session, failing=True)
        scene.look(session)
        assert scene.open == {}
        server.reload({"archive_command": "/bin/true"})
        until(session, failing=False)
        switch(server, 2)
        poll(lambda: COLLECTOR.read(session).ready.files == 0, 20, message="nothing waits")
        scene.look(session, after_s=600)
        assert scene.open == {}


def test_on_a_disk_of_known_size_a_tenth_of_it_is_critical_at_once(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    server = start_server(settings={**ARCHIVING, "archive_command": "/bin/false"})
    small = vitals({"archiver_failing": {}}, disk_size_bytes=160 * 1024**2)
    large = vitals({"archiver_failing": {}}, disk_size_bytes=1024**4, target="large")
    with closing(watching.watch(server.dsn())) as session:
        switch(server, 1)
        until(session, failing=True)
        small.look(session)
        large.look(session)
        incident = small.firing["WAL archiving"]
        assert incident.severity is Level.CRITICAL
        assert {figure.name: figure.value for figure in incident.evidence.figures}["Of the disk"] == (
            "10.0 % of 160.0 MB"
        )
        assert large.open == {}


def test_wal_that_would_fill_the_disk_within_a_day_is_critical_however_young_it_is(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    """One file of 16 MB a minute is 22.5 GB a day."""
    server = start_server(settings={**ARCHIVING, "archive_command": "/bin/false"})
    small = vitals({"archiver_failing": {}}, disk_size_bytes=15 * 1024**3)
    large = vitals({"archiver_failing": {}}, disk_size_bytes=60 * 1024**3, target="large")
    with closing(watching.watch(server.dsn())) as session:
        switch(server, 1)
        until(session, failing=True)
        for _ in range(8):
            switch(server, 1)
            small.look(session, after_s=60)
            large.look(session, after_s=60)
        incident = small.firing["WAL archiving"]
        assert incident.severity is Level.CRITICAL
        figures = {figure.name: figure.value for figure in incident.evidence.figures}
        assert figures["WAL alone fills it"].startswith("in 15h")
        assert large.open == {}
