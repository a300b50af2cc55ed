"""Encrypted connections keep every promise of plain ones."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.limits import Limits
from pgvigil.postgres.query import Column, Query
from pgvigil.postgres.session import connect
from pgvigil.scratch.server import ScratchServer
from tests.support.polling import poll
from tests.support.servers import StartServer, installations

QUICK = Limits(connect_s=1, statement_s=0.5, margin_s=0.5)


class Encrypted(NamedTuple):
    ssl: bool


ENCRYPTED = Query(
    name="test_encrypted",
    row=Encrypted,
    columns=(Column("ssl", "ssl"),),
    source="FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
)


def speaks_tls(bindir: Path) -> bool:
    """Whether this server was built with OpenSSL."""
    return b"libssl.so" in (bindir / "postgres").read_bytes()


@pytest.fixture
def encrypted(start_server: StartServer) -> Iterator[ScratchServer]:
    """A server with a certificate that nobody has signed but itself."""
    majors = [each.major for each in installations() if speaks_tls(each.bindir)]
    if not majors or shutil.which("openssl") is None:
        pytest.skip("needs the openssl command and a server built with TLS")
    server = start_server(majors[0])
    key, certificate = server.data / "server.key", server.data / "server.crt"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=elsewhere",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    owner = server.data.stat()
    for path in (key, certificate):
        os.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o600)
    server.reload({"ssl": "on"})
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        poll(lambda: admin.execute("SHOW ssl").fetchone() == ("on",), message="TLS is on")
    yield server
    server.sigcont()


def failure_of(dsn: str) -> Failure:
    with pytest.raises(ReadError) as caught:
        connect(Dsn.parse(dsn), limits=QUICK)
    return caught.value.failure


def test_an_encrypted_session_reads_and_notices_a_frozen_server(encrypted: ScratchServer) -> None:
    session = connect(Dsn.parse(encrypted.dsn() + " sslmode=require"), limits=QUICK)
    assert session.rows(ENCRYPTED) == ((True,),)
    encrypted.sigstop()
    with pytest.raises(ReadError) as caught:
        session.rows(ENCRYPTED)
    assert caught.value.failure.kind is FailureKind.SILENT
    assert failure_of(encrypted.dsn() + " sslmode=require").kind is FailureKind.SILENT


def test_an_encrypted_session_that_is_killed_is_lost(encrypted: ScratchServer) -> None:
    session = connect(Dsn.parse(encrypted.dsn() + " sslmode=require"), limits=QUICK)
    os.kill(session.backend_pid, signal.SIGKILL)
    with pytest.raises(ReadError) as caught:
        session.rows(ENCRYPTED)
    assert caught.value.failure.kind is FailureKind.LOST


def test_a_certificate_that_cannot_be_trusted_is_tls(encrypted: ScratchServer) -> None:
    certificate = encrypted.data / "server.crt"
    unknown = failure_of(encrypted.dsn() + " sslmode=verify-ca sslrootcert=/nowhere.crt")
    other_name = failure_of(encrypted.dsn() + f" sslmode=verify-full sslrootcert={certificate}")
    assert (unknown.kind, other_name.kind) == (FailureKind.TLS, FailureKind.TLS)
