"""SIGTERM ends the daemon in order and in time, whatever its targets, sinks and disk do."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.demo.fake_slack import TOKEN, FakeSlack
from pgvigil.model.delivery import DeliveryStatus
from pgvigil.scratch.server import ScratchServer
from pgvigil.store import Store
from tests.support.daemons import ROOT, RunningDaemon, running_daemon
from tests.support.network import closed_port, silent_listener
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = {name}
dsn = {dsn}
"""

DOWN = """
[rules.target_down]
for = "0s"
"""

SLACK = """
[sinks.{name}]
kind = "slack"
token_file = {token_file}
channel = "#db-oncall"
base_url = {url}
"""


@contextmanager
def in_time() -> Iterator[None]:
    """The promise: ten seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 10


def target(dsn: str, name: str = "shop") -> str:
    return CONFIG.format(name=json.dumps(name), dsn=json.dumps(dsn))


def nowhere(*names: str) -> str:
    """Targets that refuse, and so have an incident each at once."""
    return "".join(target(f"host=127.0.0.1 port={closed_port()}", name) for name in names) + DOWN


def slack_sink(folder: Path, name: str, url: str) -> str:
    token = folder / "token"
    token.write_text(TOKEN, encoding="utf-8")
    return SLACK.format(name=name, token_file=json.dumps(str(token)), url=json.dumps(url))


def firing(daemon: RunningDaemon) -> int:
    return len(daemon.incidents("target_down", "firing"))


def test_a_server_that_froze_does_not_hold_the_daemon_up(own_server: ScratchServer, tmp_path: Path) -> None:
    """A read that waits for a stopped server is interrupted; exit code 0 within ten seconds."""
    with running_daemon(tmp_path, target(own_server.dsn())) as daemon:
        poll(lambda: daemon.target("shop")["up"], 20)
        own_server.sigstop()
        try:
            before = len(daemon.events("target_unreachable"))
            poll(lambda: len(daemon.events("target_unreachable")) > before, 30)
            with in_time():
                assert daemon.stop() == 0
        finally:
            own_server.sigcont()
        assert daemon.events("stopped")
        assert not daemon.events("work_failed")


def test_sinks_that_never_answer_stop_together(own_server: ScratchServer, tmp_path: Path) -> None:
    """Three calls hang, and a server besides: one budget for all. What may have arrived is looked for at the next start."""
    with silent_listener() as port:
        sinks = "".join(slack_sink(tmp_path, f"s{n}", f"http://127.0.0.1:{port}/api/") for n in range(3))
        config = target(own_server.dsn()) + nowhere("gone") + sinks
        with running_daemon(tmp_path, config) as daemon:
            poll(lambda: daemon.target("shop")["up"], 20)
            poll(lambda: firing(daemon) == 1, 20)
            own_server.sigstop()
            try:
                with in_time():
                    assert daemon.stop() == 0
            finally:
                own_server.sigcont()
            assert daemon.events("stopped")
            assert not daemon.events("stopping_cut_short")


def test_what_is_due_is_sent_before_the_end(slack: FakeSlack, tmp_path: Path) -> None:
    """The pace of a channel makes four messages take three seconds: there is time for all of them."""
    names = ("a", "b", "c", "d")
    with running_daemon(tmp_path, nowhere(*names) + slack_sink(tmp_path, "oncall", slack.url)) as daemon:
        poll(lambda: firing(daemon) == len(names), 20)
        with in_time():
            assert daemon.stop() == 0
    assert len(slack.roots()) == len(names)
    store = Store.open(f"sqlite:///{tmp_path}/pgvigil.db")
    try:
        rows = [store.deliveries.get(one.id, "oncall") for one in store.incidents.open()]
    finally:
        store.close()
    assert {row.status for row in rows if row is not None} == {DeliveryStatus.SETTLED}


def test_a_second_signal_changes_nothing(tmp_path: Path) -> None:
    """People press Ctrl-C again, and service managers repeat themselves: the end stays in order."""
    with silent_listener() as port:
        sink = slack_sink(tmp_path, "oncall", f"http://127.0.0.1:{port}/api/")
        with running_daemon(tmp_path, nowhere("gone") + sink) as daemon:
            poll(lambda: firing(daemon) == 1, 20)
            with in_time():
                daemon.process.send_signal(signal.SIGTERM)
                poll(lambda: daemon.events("stopping"))
                for again in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    daemon.process.send_signal(again)
                    poll(lambda: daemon.events("stopping_already"))
                assert daemon.process.wait(20) == 0
            assert len(daemon.events("stopping")) == 1
            assert daemon.events("reloading") == []
            assert daemon.events("stopped")


def test_a_daemon_that_is_being_built_ends_at_once(tmp_path: Path) -> None:
    """A store that is brought to a new revision may take minutes; the signal does not wait for that."""
    config = tmp_path / "pgvigil.toml"
    config.write_text(
        f'[daemon]\nlisten = "127.0.0.1:0"\nstore = "sqlite:///{tmp_path}/pgvigil.db"\n' + nowhere("gone"),
        encoding="utf-8",
    )
    program = [sys.executable, "-m", "tests.support.stuck_daemon", "building", "run", "-c", str(config)]
    with subprocess.Popen(program, cwd=ROOT, stderr=subprocess.PIPE) as process:
        try:
            poll(lambda: handles(process.pid, signal.SIGTERM), 20)
            with in_time():
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
        finally:
            process.kill()


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.4, 0.6, 0.8, 1.2])
def test_a_signal_at_any_moment_of_the_start_ends_it(after_s: float, tmp_path: Path) -> None:
    """Before our handler is there the signal itself ends the process, which is as good to a service manager."""
    daemon = RunningDaemon(tmp_path, nowhere("gone"))
    try:
        due = time.monotonic() + after_s
        poll(lambda: time.monotonic() >= due, 5)
        with in_time():
            assert daemon.stop() in (0, -signal.SIGTERM)
        assert daemon.events("thread_died") == []
    finally:
        daemon.process.kill()
        daemon.process.wait()
