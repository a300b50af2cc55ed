"""The collector `certificate` on real servers."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from collectors.certificate import COLLECTOR
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.certificates import Authority, install, start_with_tls
from tests.support.polling import poll
from tests.support.servers import StartServer

SOON = timedelta(minutes=1)


@pytest.fixture
def encrypted(start_server: StartServer, tmp_path: Path) -> ScratchServer:
    """A server whose certificate holds for ten days more."""
    server = start_with_tls(start_server)
    install(server, *Authority(tmp_path / "ca").sign("127.0.0.1"))
    poll(lambda: offers_tls(server), 10, message="the server has read its certificate")
    return server


def offers_tls(server: ScratchServer) -> bool:
    try:
        psycopg.connect(server.dsn() + " sslmode=require").close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_server_without_tls_shows_none(reader: Session) -> None:
    assert COLLECTOR.read(reader).certificate is None


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_its_end_is_told_and_nothing_is_logged_of_the_look(encrypted: ScratchServer, mode: str) -> None:
    """Also where pgvigil itself does not use TLS: others do."""
    with closing(connect(Dsn.parse(watching.watch_dsn(encrypted.dsn()) + f" sslmode={mode}"))) as session:
        logged = encrypted.log.stat().st_size
        certificate = COLLECTOR.read(session).certificate
        assert certificate is not None
        assert abs(certificate.end - datetime.now(UTC) - timedelta(days=10)) < SOON
        assert abs(certificate.start - datetime.now(UTC) + timedelta(days=10)) < SOON
        session.rediscover()
        assert encrypted.log.read_bytes()[logged:] == b""


def test_a_local_socket_knows_no_tls(encrypted: ScratchServer) -> None:
    dsn = f"host={encrypted.socket_directory} port={encrypted.port} user=postgres dbname=postgres"
    watch = watching.watch_dsn(dsn)
    with closing(connect(Dsn.parse(watch))) as session:
        assert COLLECTOR.read(session).certificate is None


def test_a_rotated_certificate_is_seen_without_a_new_session(
    encrypted: ScratchServer, tmp_path: Path
) -> None:
    with closing(watching.watch(encrypted.dsn())) as session:
        install(encrypted, *Authority(tmp_path / "new").sign("127.0.0.1", end=timedelta(days=300)))

        def renewed() -> bool:
            certificate = COLLECTOR.read(session).certificate
            return certificate is not None and certificate.end > datetime.now(UTC) + timedelta(days=299)

        poll(renewed, 10, message="the new certificate is shown")
