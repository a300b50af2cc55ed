"""The collector `archiver` on real servers."""

from contextlib import closing

import psycopg
import pytest

from collectors.archiver import COLLECTOR, ArchiverReading
from pgvigil.postgres.session import Session
from tests.support import servers, watching
from tests.support.polling import poll
from tests.support.servers import StartServer

MAJORS = [each.major for each in servers.installations()]


def read(reader: Session) -> ArchiverReading:
    reading: ArchiverReading = COLLECTOR.read(reader)
    return reading


def test_a_server_that_does_not_archive_says_so(reader: Session) -> None:
    reading = read(reader)
    assert (reading.archiver.active, reading.ready, reading.waiting_bytes) == (False, None, None)
    assert list(COLLECTOR.series["ready"](reading)) == []


@pytest.mark.parametrize("major", MAJORS)
def test_files_that_cannot_be_archived_wait_and_those_that_can_are_counted(
    major: int, start_server: StartServer
) -> None:
    server = start_server(
        major, settings={"archive_mode": "on", "archive_command": "/bin/false", "wal_level": "replica"}
    )
    with (
        psycopg.connect(server.dsn(), autocommit=True) as admin,
        closing(watching.watch(server.dsn())) as session,
    ):
        for _ in range(2):
            admin.execute("CREATE TABLE IF NOT EXISTS t (id int)")
            admin.execute("INSERT INTO t VALUES (1)")
            admin.execute("SELECT pg_switch_wal()")
        poll(lambda: read(session).archiver.failing, 15, message="the archiver failed")
        failing = read(session)
        assert failing.archiver.configured
        assert failing.ready is not None
        assert failing.ready.files == 2
        assert failing.ready.oldest_s is not None
        assert 0 <= failing.ready.oldest_s < 60
        assert failing.waiting_bytes == 2 * 16 * 1024 * 1024
        server.reload({"archive_command": "/bin/true"})
        poll(lambda: read(session).archiver.archived >= 2, 20, message="the archiver works")
        mended = read(session)
        assert not mended.archiver.failing
        assert mended.ready is not None
        assert mended.ready.files == 0
