"""Fake servers by the hundred, in a process of their own: they answer pgvigil as a real server once did."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.daemons import ROOT, running_daemon
from tests.support.polling import poll

_RECORDED = """[[targets]]
name = "recorded"
dsn = "host=127.0.0.1 port={port} dbname={database} user={user}"
[collectors.statements]
interval = "1s"
[sinks.terminal]
kind = "console"
"""


class Fakes:
    """The process of the fakes, by its pipe. A fake is named by its port."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _order(self, order: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([order, arguments]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the process of the fake servers has ended; see its words above"
        return json.loads(line)

    def record(self, database: str, user: str) -> None:
        """Have a daemon watch the real server through the fakes, until every collector has read."""
        with tempfile.TemporaryDirectory() as place:
            config = _RECORDED.format(port=self._order("record"), database=database, user=user)
            with running_daemon(Path(place), config) as daemon:
                poll(
                    lambda: (
                        (daemon.metric("pgvigil_query_calls_total") or 0) > 0
                        and all(one["last_success_at"] for one in daemon.target("recorded")["collectors"])
                    ),
                    30,
                    message="everything was read once",
                )

    def serve(self, count: int) -> list[int]:
        """So many healthy fakes more: their ports."""
        ports: list[int] = self._order("serve", count)
        return ports

    def become(self, mode: str, ports: Sequence[int]) -> None:
        """`healthy`, `dead`, `silent`, `slow` or `flapping`, from now on."""
        self._order("become", mode, list(ports))

    def end_sessions(self, ports: Sequence[int]) -> None:
        """Reset their connections."""
        self._order("end_sessions", list(ports))

    def asked(self) -> dict[int, dict[str, int]]:
        """How often each was asked, by the name of the query; fails when one had to answer what it never heard."""
        account = self._order("account")
        assert not account["unknown"], account["unknown"]
        return {int(port): asked for port, asked in account["asked"].items()}

    def sessions(self) -> int:
        """Connections to all of them together."""
        return sum(self._order("account")["sessions"].values())


@contextmanager
def fakes_of(upstream_port: int) -> Iterator[Fakes]:
    """Fakes of the real server on that port; `record` comes first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fakes", str(upstream_port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        yield Fakes(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
