"""Pushing to a gateway."""

import base64
from collections.abc import Iterator

import pytest

from daemon.board import Board
from daemon.metrics.exposition import CONTENT_TYPE, Exposition
from daemon.metrics.push import Pusher
from tests.support.gateway import Gateway, running_gateway
from tests.support.network import closed_port
from tests.support.views import view


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running_gateway() as world:
        yield world


def pusher(netloc: str) -> Pusher:
    board = Board()
    board.publish(view())
    return Pusher(f"http://{netloc}/", Exposition(board, lambda: ()))


def test_the_exposition_is_put_as_the_job_pgvigil(gateway: Gateway) -> None:
    pusher(f"127.0.0.1:{gateway.port}").push()
    ((path, headers, body),) = gateway.received
    assert path == "/metrics/job/pgvigil"
    assert headers["Content-Type"] == CONTENT_TYPE
    assert "Authorization" not in headers
    assert b"pgvigil_target_up" in body


def test_a_password_in_the_url_is_sent_as_basic_authentication(gateway: Gateway) -> None:
    pusher(f"pusher:s%40cret@127.0.0.1:{gateway.port}").push()
    ((_, headers, _),) = gateway.received
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"pusher:s@cret"


def test_a_failure_is_counted_and_not_raised(gateway: Gateway) -> None:
    gateway.garbled = True
    refused, garbled = pusher(f"127.0.0.1:{closed_port()}"), pusher(f"127.0.0.1:{gateway.port}")
    for one in (refused, garbled):
        one.push()
        assert one.failures == 1
