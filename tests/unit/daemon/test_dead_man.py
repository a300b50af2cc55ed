"""The sign of life: given while pgvigil can see and tell, withheld while it cannot."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from daemon.board import Board
from daemon.clock import system_now
from daemon.dead_man import DeadMansSwitch, Signs
from daemon.metrics.sinks import SinkStats
from tests.support.gateway import Gateway, running_gateway
from tests.support.network import closed_port
from tests.support.views import view


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_gateway() as world:
        yield world


class Rig:
    def __init__(self, port: int) -> None:
        self.stuck: tuple[str, ...] = ()
        self.sinks: dict[str, SinkStats] = {"oncall": SinkStats()}
        board = Board()
        board.publish(view())
        signs = Signs(stuck=lambda: self.stuck, sinks=lambda: self.sinks, board=board)
        self.switch = DeadMansSwitch(signs, system_now)
        self.switch.url = f"http://me:secret@127.0.0.1:{port}/ping/abc"

    def said(self, times: int = 2) -> list[str]:
        with capture_logs() as events:
            for _ in range(times):
                self.switch.report()
        return [f"{event['event']}: {event.get('why', '')}" for event in events]


def test_a_sign_of_life_says_how_pgvigil_does(gateway: Gateway) -> None:
    rig = Rig(gateway.port)
    assert rig.said(1) == []
    ((path, headers, body),) = gateway.received
    assert path == "/ping/abc"
    assert headers["Authorization"].startswith("Basic ")
    assert json.loads(body)["text"].startswith("1 target")
    assert rig.switch.given_at is not None


@pytest.mark.parametrize(
    ("sink", "why"),
    [
        (SinkStats(pending=None), "nobody knows what oncall was told"),
        (SinkStats(pending=1, parked=1), "oncall waits for people to mend its set-up"),
        (
            SinkStats(pending=1, oldest_pending_at=datetime.now(UTC) - timedelta(minutes=6)),
            "oncall has not been told since ",
        ),
    ],
)
def test_it_is_withheld_while_a_sink_reaches_nobody(gateway: Gateway, sink: SinkStats, why: str) -> None:
    rig = Rig(gateway.port)
    rig.sinks["oncall"] = sink
    (line,) = rig.said()
    assert line.startswith(f"heartbeat_withheld: {why}")
    assert gateway.received == []
    assert rig.switch.failures == 0


def test_what_is_told_within_minutes_is_no_reason(gateway: Gateway) -> None:
    rig = Rig(gateway.port)
    rig.sinks["oncall"] = SinkStats(pending=3, oldest_pending_at=datetime.now(UTC) - timedelta(minutes=4))
    assert rig.said() == []
    assert len(gateway.received) == 2


def test_it_is_withheld_while_a_loop_is_stuck_and_given_again(gateway: Gateway) -> None:
    rig = Rig(gateway.port)
    rig.stuck = ("scheduler",)
    assert rig.said() == ["heartbeat_withheld: scheduler is stuck"]
    rig.stuck = ()
    assert rig.said() == ["heartbeat_again: "]
    assert len(gateway.received) == 2


@pytest.mark.parametrize("status", [302, 404, 500])
def test_another_answer_than_ok_is_no_taker(gateway: Gateway, status: int) -> None:
    """Also one that leads elsewhere: a login page would take everything."""
    gateway.status = status
    rig = Rig(gateway.port)
    (line,) = rig.said()
    assert line.startswith("heartbeat_failed: ")
    assert "secret" not in line
    assert (rig.switch.failures, rig.switch.given_at) == (2, None)
    assert {path for path, _, _ in gateway.received} == {"/ping/abc"}


def test_where_nobody_listens_it_is_counted() -> None:
    rig = Rig(closed_port())
    (line,) = rig.said()
    assert line.startswith("heartbeat_failed: ")
    assert rig.switch.failures == 2
