"""The dates of a certificate, and of what only looks like one."""

import contextlib
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgvigil.postgres.certificates import _validity, reason
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
