"""Names are resolved in time, whatever the resolver does."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pgvigil.model.failure import FailureKind
from pgvigil.postgres import resolve
from pgvigil.postgres.errors import ReadError
from tests.support.polling import poll


def resolver_threads() -> int:
    return sum(thread.name.startswith("pgvigil-resolve-") for thread in threading.enumerate())


class Resolver:
    """Takes the place of getaddrinfo: `hanging` hosts answer when released."""

    def __init__(self) -> None:
        self.known = {"db1": ["10.0.0.1", "10.0.0.1", "fd00::1"], "db2": ["10.0.0.2"]}
        self.hanging: set[str] = set()
        self.released = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, _port: None, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host in self.hanging:
            self.released.wait()
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.known[host]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    fake = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", fake)
    yield fake
    fake.released.set()
    poll(lambda: resolver_threads() == 0, message="all lookups have ended")
    resolve._open.clear()  # late answers are kept


def failure(parameters: dict[str, str], timeout_s: float = 5) -> str:
    with pytest.raises(ReadError) as caught:
        resolve.attempts(parameters, timeout_s)
    assert caught.value.failure.kind is FailureKind.DNS
    return caught.value.failure.message


def places(*parameters: dict[str, str]) -> list[tuple[str | None, ...]]:
    return [(each.get("host"), each.get("hostaddr"), each.get("port")) for each in parameters]


def test_each_address_is_an_attempt_of_its_own(resolver: Resolver) -> None:
    attempts = resolve.attempts({"host": "db1", "port": "5433", "dbname": "x"}, 5)
    assert places(*attempts) == [("db1", "10.0.0.1", "5433"), ("db1", "fd00::1", "5433")]
    assert all(each["dbname"] == "x" for each in attempts)


@pytest.mark.parametrize(
    "parameters",
    [
        {"host": "192.0.2.1"},
        {"host": "::1"},
        {"host": "/var/run/postgresql"},
        {"host": "@abstract"},
        {"host": "db1", "hostaddr": "192.0.2.7"},
        {"hostaddr": "192.0.2.7"},
        {},
    ],
)
def test_what_needs_no_resolver_asks_none(resolver: Resolver, parameters: dict[str, str]) -> None:
    assert resolve.attempts(parameters, 5) == (parameters,)
    assert resolver.asked == []


def test_several_hosts_keep_their_order_and_share_a_single_port(resolver: Resolver) -> None:
    attempts = resolve.attempts({"host": "db2,/tmp,192.0.2.1", "port": "6432"}, 5)
    assert places(*attempts) == [
        ("db2", "10.0.0.2", "6432"),
        ("/tmp", None, "6432"),
        ("192.0.2.1", None, "6432"),
    ]


def test_lists_that_do_not_fit_together_are_said(resolver: Resolver) -> None:
    assert "different numbers" in failure({"host": "db1,db2", "port": "1,2,3"})


def test_prefer_standby_tries_all_hosts_as_standby_first(resolver: Resolver) -> None:
    attempts = resolve.attempts({"host": "db2,192.0.2.1", "target_session_attrs": "prefer-standby"}, 5)
    assert [each["target_session_attrs"] for each in attempts] == ["standby", "standby", "any", "any"]


def test_unknown_host_is_named(resolver: Resolver) -> None:
    message = "host name nowhere could not be resolved: Name or service not known"
    assert failure({"host": "nowhere"}) == message


def test_a_host_that_is_not_resolved_does_not_hide_another(resolver: Resolver) -> None:
    resolver.hanging = {"stuck"}
    attempts = resolve.attempts({"host": "nowhere,stuck,db2"}, 0.05)
    assert places(*attempts) == [("db2", "10.0.0.2", None)]


def test_a_dead_resolver_costs_the_deadline_and_one_thread_for_fifty_attempts(resolver: Resolver) -> None:
    resolver.hanging = {"db1"}
    for _ in range(50):
        assert failure({"host": "db1"}, 0.01) == "host name db1 could not be resolved: no answer within 0.01s"
    assert resolver_threads() == 1
    assert resolver.asked == ["db1"]


def test_who_joined_an_open_lookup_gets_its_answer(resolver: Resolver) -> None:
    resolver.hanging = {"db2"}
    failure({"host": "db2"}, 0.01)
    threading.Timer(0.1, resolver.released.set).start()
    assert places(*resolve.attempts({"host": "db2"}, 10)) == [("db2", "10.0.0.2", None)]
    assert resolver.asked == ["db2"]


def test_an_answered_lookup_is_asked_anew(resolver: Resolver) -> None:
    """Addresses move: nothing is cached."""
    resolve.attempts({"host": "db2"}, 5)
    resolver.known["db2"] = ["10.0.0.9"]
    poll(lambda: resolver_threads() == 0)
    assert places(*resolve.attempts({"host": "db2"}, 5)) == [("db2", "10.0.0.9", None)]


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "bad\ufffdname"])
def test_a_host_that_is_no_name_is_a_failure_and_not_a_crash(host: str) -> None:
    assert "could not be resolved" in failure({"host": host})


def test_a_lookup_that_got_no_thread_does_not_stand_in_the_way_of_the_next(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of threads is our own fault, said as such, and over when threads are to be had again."""
    with monkeypatch.context() as refusing:
        refusing.setattr(threading.Thread, "start", _refuse)
        with pytest.raises(ReadError) as failed:
            resolve.attempts({"host": "db2"}, 0.5)
    assert failed.value.failure.kind is FailureKind.RESOURCES
    assert [one["hostaddr"] for one in resolve.attempts({"host": "db2"}, 5.0)] == ["10.0.0.2"]
    assert resolver.asked == ["db2"]


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_an_answer_that_comes_too_late_serves_the_next_attempt(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a while, and then the resolver is asked again."""
    resolver.hanging.add("db2")
    assert "no answer" in failure({"host": "db2"}, 0.01)
    resolver.released.set()
    poll(lambda: resolver_threads() == 0)
    for _ in range(2):
        assert places(*resolve.attempts({"host": "db2"}, 5)) == [("db2", "10.0.0.2", None)]
    assert resolver.asked == ["db2"]
    monkeypatch.setattr(resolve, "LATE_S", 0.0)
    resolve.attempts({"host": "db2"}, 5)
    assert resolver.asked == ["db2", "db2"]
