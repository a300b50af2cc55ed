"""The dates of a certificate, and of what only looks like one."""

import contextlib
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgvigil.model.failure import FailureKind
from pgvigil.postgres.certificates import _validity, of_server, reason
from pgvigil.postgres.errors import ReadError
from tests.support.certificates import Authority
from tests.support.network import silent_listener
from tests.support.reporting import not_run


@pytest.mark.parametrize("years", [1, 40], ids=["two digits of a year", "four"])
def test_the_dates_are_those_that_it_was_given(tmp_path: Path, years: int) -> None:
    if shutil.which("openssl") is None:
        not_run("needs the openssl command (Debian: apt-get install openssl)")
    now = datetime.now(UTC).replace(microsecond=0)
    _, file = Authority(tmp_path / "ca").sign("127.0.0.1", end=timedelta(days=365 * years))
    start, end = _validity(ssl.PEM_cert_to_DER_cert(file.read_text()))
    assert abs(start - (now - timedelta(days=10))) < timedelta(minutes=1)
    assert abs(end - (now + timedelta(days=365 * years))) < timedelta(minutes=1)


@given(st.binary(max_size=200))
def test_anything_else_has_none(data: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        _validity(data)


def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    with silent_listener() as port:
        assert reason({"host": "127.0.0.1", "port": str(port)}, 0.1) == ""


@contextlib.contextmanager
def answering(said: bytes) -> Iterator[dict[str, str]]:
    """Where something answers the request for TLS with these bytes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(8)
                connection.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield {"host": "127.0.0.1", "port": str(listener.getsockname()[1])}
        finally:
            thread.join(10)


def test_who_offers_no_tls_has_no_certificate() -> None:
    with answering(b"N") as where:
        assert of_server(where, 5) is None


@pytest.mark.parametrize("where", [{}, {"host": "/run/postgresql"}, {"host": "@abstract"}])
def test_a_local_socket_is_not_asked(where: dict[str, str]) -> None:
    assert of_server(where, 5) is None


@pytest.mark.parametrize("said", [b"", b"E", b"S", b"Sthis is no TLS at all"])
def test_other_answers_are_failures(said: bytes) -> None:
    with answering(said) as where, pytest.raises(ReadError) as caught:
        of_server(where, 5)
    assert caught.value.failure.kind in {FailureKind.LOST, FailureKind.TLS}


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_silence_is_a_failure_within_the_time(negotiation: str) -> None:
    with silent_listener() as port, pytest.raises(ReadError) as caught:
        of_server({"host": "127.0.0.1", "port": str(port), "sslnegotiation": negotiation}, 0.1)
    assert caught.value.failure.kind is FailureKind.SILENT
