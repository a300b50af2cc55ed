"""`pgvigil demo` as people run it: from a terminal, to its end or to Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.request import urlopen

import psutil
import pytest

from tests.support import wheel
from tests.support.polling import poll
from tests.support.source import ROOT

COMMAND = [sys.executable, "-c", "import sys; from daemon.cli import main; sys.exit(main())", "demo"]


class RunningDemo:
    """The command in a session of its own, as a terminal would start it; its output line by line."""

    def __init__(self, directory: Path, *arguments: str, packages: Path = ROOT) -> None:
        environment = {
            **os.environ,
            "TMPDIR": str(directory),
            "PYTHONPATH": str(packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "110",
        }
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.helpers: list[psutil.Process] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def shows(self, what: str, deadline_s: float) -> None:
        def seen() -> bool:
            assert self.process.poll() is None or what in self.text, self.text
            return what in self.text

        poll(seen, deadline_s, message=f"the demo shows {what!r}; it shows:\n{self.text}")

    def remember_helpers(self) -> None:
        """Every process that the demo started, however it detached itself."""
        self.helpers = psutil.Process(self.process.pid).children(recursive=True)
        assert any("postgres" in each.name() for each in self.helpers)

    def end(self, deadline_s: float) -> int:
        code = self.process.wait(timeout=deadline_s)
        self._reader.join(timeout=10)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.end(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A temporary directory for the demo alone, which the server's user can reach too."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "tmp").mkdir()
        (Path(name) / "tmp").chmod(0o1777)
        yield Path(name) / "tmp"


def assert_nothing_is_left(demo: RunningDemo, directory: Path) -> None:
    left = [each for each in demo.helpers if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert list(directory.iterdir()) == []


def problems_of(demo: RunningDemo) -> list[object]:
    """What it says must be mended in its own set-up."""
    address = re.search(r"http://\S+/api/v1/", demo.text)
    assert address, demo.text
    with urlopen(f"{address[0]}problems", timeout=5) as answer:
        found: list[object] = json.load(answer)["problems"]
    return found


def test_demo_plays_its_story_and_ends_by_itself(directory: Path, tmp_path: Path) -> None:
    """From the wheel, as people install it; long enough for the whole story even on a busy machine."""
    packages = wheel.unpack(wheel.build(tmp_path / "dist"), tmp_path / "packages")
    with RunningDemo(directory, "--seconds", "75", packages=packages) as demo:
        demo.shows("pgvigil is watching", 60)
        demo.remember_helpers()
        demo.shows("rule constraint_not_valid", 60)
        assert problems_of(demo) == [], "the demo is set up as the README says"
        assert demo.end(120) == 0, demo.text
    match = re.fullmatch(r"demo: (\d+) incidents fired, (\d+) resolved", demo.lines[-1])
    assert match, demo.text
    assert int(match[1]) >= 5
    assert int(match[2]) >= 4
    for rule in ("blocking_chain", "constraint_not_valid", "invalid_index", "slow_query", "target_down"):
        assert f"rule {rule} ·" in demo.text, demo.text
    assert_nothing_is_left(demo, directory)


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "A report forgets its transaction"), (signal.SIGTERM, "pgvigil is watching")],
)
def test_ctrl_c_stops_all_in_order(directory: Path, number: signal.Signals, moment: str) -> None:
    """Also in the middle of the lock pile-up, when half of the threads wait for a lock."""
    with RunningDemo(directory) as demo:
        demo.shows(moment, 90)
        demo.remember_helpers()
        os.killpg(demo.process.pid, number)
        assert demo.end(30) == 0, demo.text
    assert re.fullmatch(r"demo: \d+ incidents fired, \d+ resolved", demo.lines[-1]), demo.text
    assert "Traceback" not in demo.text
    assert_nothing_is_left(demo, directory)


def test_killed_demo_leaves_nothing_either(directory: Path) -> None:
    with RunningDemo(directory) as demo:
        demo.shows("pgvigil is watching", 60)
        demo.remember_helpers()
        demo.process.kill()
        demo.end(10)
    poll(lambda: not any(each.is_running() for each in demo.helpers), 30, message="all helpers end")
    poll(lambda: not list(directory.iterdir()), 30, message="the directories are removed")
