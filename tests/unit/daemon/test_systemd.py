"""sd_notify: what a service manager is told, and that nothing about its socket disturbs the teller."""

import os
import socket
import time
import uuid
from pathlib import Path

import pytest

from daemon.systemd import NOBODY, ServiceManager, service_manager
from tests.support import managers


def test_each_message_is_as_the_protocol_has_it(tmp_path: Path) -> None:
    with managers.service_manager(tmp_path) as manager:
        told = ServiceManager({"NOTIFY_SOCKET": manager.address}, os.getpid())
        told.ready()
        told.watchdog()
        told.status("3 targets")
        told.stopping()
        texts = [text for _, text in manager.told()]
    assert texts == ["READY=1", "WATCHDOG=1", "STATUS=3 targets", "STOPPING=1"]


def test_a_reload_carries_the_time_at_which_it_began(tmp_path: Path) -> None:
    """READY=1 ends the reload only when its stamp is older."""
    with managers.service_manager(tmp_path) as manager:
        before = time.monotonic_ns() // 1000
        ServiceManager({"NOTIFY_SOCKET": manager.address}, 0).reloading()
        ((_, text),) = manager.told()
    first, _, stamp = text.partition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1"
    assert before <= int(stamp) <= time.monotonic_ns() // 1000


def test_a_status_is_one_line_and_said_when_it_is_new(tmp_path: Path) -> None:
    with managers.service_manager(tmp_path) as manager:
        told = ServiceManager({"NOTIFY_SOCKET": manager.address}, 0)
        for text in ("target a\nREADY=1", "target a\nREADY=1", "fine"):
            told.status(text)
        texts = [text for _, text in manager.told()]
    assert len(texts) == 2
    assert all("\n" not in text for text in texts)


def test_an_abstract_address_is_understood() -> None:
    name = f"pgvigil-test-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": "@" + name}, 0).ready()
        assert listener.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    for manager in (NOBODY, service_manager()):
        manager.ready()
        assert manager.watchdog_s is None


@pytest.mark.parametrize(
    "address", ["vsock:2:1234", "relative", "/nowhere/at/all", "@nobody-listens-here", "/" * 200]
)
def test_an_address_of_no_use_disturbs_nobody(address: str) -> None:
    ServiceManager({"NOTIFY_SOCKET": address}, 0).ready()


def test_a_manager_that_went_away_disturbs_nobody(tmp_path: Path) -> None:
    with managers.service_manager(tmp_path) as manager:
        told = ServiceManager({"NOTIFY_SOCKET": manager.address}, 0)
    told.watchdog()
    told.stopping()


def test_a_manager_that_does_not_read_costs_a_second_at_most(tmp_path: Path) -> None:
    """Its queue is full: pings are dropped at once, and what it must hear gets in as soon as it reads again."""
    with managers.service_manager(tmp_path) as manager:
        told = ServiceManager({"NOTIFY_SOCKET": manager.address}, 0)
        for _ in range(2000):
            told.watchdog()
        told.ready()
        pings = manager.count("WATCHDOG=1")
        assert 0 < pings < 2000
        told.ready()
        assert manager.told()[-1][1] == "READY=1"


@pytest.mark.parametrize(
    ("usec", "pid", "expected_s"),
    [
        ("30000000", None, 30.0),
        ("500000", "42", 0.5),
        ("30000000", "43", None),
        ("0", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_ours_or_none(usec: str, pid: str | None, expected_s: float | None) -> None:
    environment = {"NOTIFY_SOCKET": "@any", "WATCHDOG_USEC": usec} | ({"WATCHDOG_PID": pid} if pid else {})
    assert ServiceManager(environment, 42).watchdog_s == expected_s
