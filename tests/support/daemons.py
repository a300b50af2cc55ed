"""The daemon as its users run it: a process, a configuration file, an HTTP port, a log."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from daemon.clock import Now, system_now
from daemon.settings.loader import load
from daemon.wiring import Daemon
from pgvigil.postgres.limits import LIMITS, Limits
from tests.support import throwaway
from tests.support.polling import poll

ROOT = Path(__file__).parents[2]
PLAIN = ("daemon",)  # the module to run


def _head(directory: Path) -> str:
    """The section that every test's configuration begins with; more keys of it may follow."""
    return f'{throwaway.RULES}[daemon]\nlisten = "127.0.0.1:0"\nstore = "sqlite:///{directory}/pgvigil.db"\nlog_format = "json"\n'


class Api:
    """What people and machines see of a daemon from outside: its HTTP port. `token` is sent where it is set."""

    url = ""
    token = ""

    def get(self, path: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, headers=headers), timeout=10
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def incidents(
        self, rule: str | None = None, state: str | None = None, target: str | None = None
    ) -> list[dict[str, Any]]:
        """As the API shows them, newest first."""
        found: list[dict[str, Any]] = json.loads(self.get("/api/v1/incidents")[1])["incidents"]
        wanted = {"rule": rule, "state": state, "target": target}
        return [i for i in found if all(value in (None, i[key]) for key, value in wanted.items())]

    def wait_incident(
        self, rule: str, state: str, deadline_s: float = 30.0, *, target: str | None = None
    ) -> dict[str, Any]:
        """The one incident of `rule` once it is in `state`."""

        def reached() -> dict[str, Any] | None:
            found = self.incidents(rule, state, target)
            return found[0] if found else None

        return poll(reached, deadline_s, message=f"{rule} is {state}: {self.incidents()}", interval_s=0.1)

    def incident(self, name: str) -> dict[str, Any]:
        """One incident by its name, as `INC-7`."""
        found: dict[str, Any] = json.loads(self.get(f"/api/v1/incidents/{name}")[1])
        return found

    def targets(self) -> list[dict[str, Any]]:
        """As the API shows them, by name."""
        found: list[dict[str, Any]] = json.loads(self.get("/api/v1/targets")[1])["targets"]
        return found

    def target(self, name: str) -> dict[str, Any]:
        return next(target for target in self.targets() if target["name"] == name)

    def collector(self, target: str, collector: str, database: str | None = None) -> dict[str, Any] | None:
        """What the API says of one collector; None when it is not expected to read."""
        found: list[dict[str, Any]] = self.target(target)["collectors"]
        wanted = (collector, database)
        return next((one for one in found if (one["collector"], one["database"]) == wanted), None)

    def read_again(self, target: str, collector: str, database: str | None = None, times: int = 1) -> None:
        """Wait until it was read so often since now."""
        for _ in range(times):
            since = datetime.now(UTC)

            def again(since: datetime = since) -> bool:
                found = self.collector(target, collector, database)
                stamp = found and found["last_success_at"]
                return bool(stamp) and datetime.fromisoformat(stamp) > since

            poll(again, 20, message=f"{collector} is read", interval_s=0.1)

    def metric(self, line_start: str) -> float | None:
        """The value of the first sample whose line starts so; None when there is none."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(line_start):
                return float(line.rpartition(" ")[2])
        return None


class RunningDaemon(Api):
    """One `pgvigil run`. Everything that it logs is in `log`, one JSON object a line."""

    def __init__(
        self,
        directory: Path,
        config: str,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = PLAIN,
    ) -> None:
        self.directory = directory
        self.config = directory / "pgvigil.toml"
        self.log = directory / "pgvigil.log"
        self.config.write_text(_head(directory) + config, encoding="utf-8")
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._read = 0
        self.process = self._start(program)
        self.url = ""

    def _start(self, program: Sequence[str] = PLAIN) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self._read = log.tell()
            return subprocess.Popen(
                [sys.executable, "-m", *program, "run", "-c", str(self.config)],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self._environment,
            )

    def wait_started(self) -> None:
        """Until it answers; its own words when it ends instead."""

        def started() -> bool:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")[-4000:]
            lines = [line for line in self.events("started") if line["at"] >= self._read]
            self.url = lines[-1]["url"] if lines else ""
            return bool(self.url)

        poll(started, 20, message="the daemon started")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of that event, each with `at`, its place in the file."""
        found, at = [], 0
        for line in self.log.read_bytes().splitlines(keepends=True):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("event") == name:
                    found.append({**entry, "at": at})
            at += len(line)
        return found

    def write(self, config: str) -> None:
        """Another configuration, which nobody reads yet."""
        self.config.write_text(_head(self.directory) + config, encoding="utf-8")

    def reload(self, config: str | None, event: str = "config_reloaded") -> dict[str, Any]:
        """SIGHUP, with another configuration if one is given; what the daemon logged of it, once it did."""
        answers = ("config_reloaded", "config_refused")
        seen = sum(len(self.events(name)) for name in answers)
        if config is not None:
            self.write(config)
        self.process.send_signal(signal.SIGHUP)

        def answered() -> list[dict[str, Any]]:
            found = [one for name in answers for one in self.events(name)]
            return sorted(found, key=lambda one: one["at"])[seen:]

        [answer] = poll(answered, 20, message=f"{event} after SIGHUP")
        assert answer["event"] == event, answer
        return answer

    def kill9(self) -> None:
        self.process.kill()
        self.process.wait()

    def start_again(self, program: Sequence[str] = PLAIN, *, wait: bool = True) -> None:
        """`wait` is False for a program that may end before it answers."""
        self.process = self._start(program)
        if wait:
            self.wait_started()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


class InProcessDaemon(Api):
    """The same daemon in the test's own process, for faults that need its clock, resolver or limits changed."""

    def __init__(self, daemon: Daemon, events: list[MutableMapping[str, Any]]) -> None:
        self.url = daemon.url
        self._events = events

    def events(self, name: str) -> list[MutableMapping[str, Any]]:
        """What was logged of that name, debug included."""
        return [event for event in list(self._events) if event["event"] == name]


@contextlib.contextmanager
def daemon_in_process(
    directory: Path, config: str, *, limits: Limits = LIMITS, now: Now = system_now
) -> Iterator[InProcessDaemon]:
    """A started daemon, stopped afterwards."""
    file = directory / "pgvigil.toml"
    file.write_text(_head(directory) + config, encoding="utf-8")
    with structlog.testing.capture_logs() as events:
        daemon = Daemon(load(file, {}), now=now, limits=limits)
        try:
            daemon.start()
            yield InProcessDaemon(daemon, events)
        finally:
            daemon.stop()


@contextlib.contextmanager
def running_daemon(
    directory: Path,
    config: str,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = PLAIN,
) -> Iterator[RunningDaemon]:
    """A started daemon that is gone afterwards, whatever the test did to it."""
    daemon = RunningDaemon(directory, config, environment, program)
    try:
        daemon.wait_started()
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGCONT)
            daemon.process.kill()
            daemon.process.wait()
