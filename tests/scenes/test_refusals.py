"""What stands in the way of a start is said once, with the fix, and costs nothing."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daemon.cli import codes
from tests.support.daemons import ROOT, running_daemon
from tests.support.disks import fill
from tests.support.network import closed_port
from tests.support.polling import poll
from tests.support.servers import Server

HEAD = '[daemon]\nlisten = "{listen}"\nstore = "sqlite:///{store}"\n'


@dataclass(frozen=True)
class Attempt:
    """One start on a configuration of its own."""

    directory: Path

    @property
    def file(self) -> Path:
        return self.directory / "wrong.toml"

    @property
    def store(self) -> Path:
        return self.directory / "second.db"

    def refused(
        self, text: str | None = None, *, listen: str = "127.0.0.1:0", store: Path | None = None
    ) -> list[str]:
        """What the daemon says on standard error when it is to run with `text`, a line each; it must end with 64."""
        if text is not None:
            head = HEAD.format(listen=listen, store=store or self.store)
            self.file.write_text(head + text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "daemon", "run", "-c", str(self.file)],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode == codes.SETUP, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr.splitlines()


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    directory = tmp_path / "attempt"
    directory.mkdir()
    return Attempt(directory)


def no_file(attempt: Attempt) -> tuple[list[str], str]:
    return attempt.refused(), f"{attempt.file}: no such file; `pgvigil config example` prints one"


def malformed(attempt: Attempt) -> tuple[list[str], str]:
    return attempt.refused('[[targets]\nname = "a"\n'), f"{attempt.file}:4: not valid TOML (column 10)"


def twice_the_same_name(attempt: Attempt) -> tuple[list[str], str]:
    said = attempt.refused('[[targets]]\nname = "a"\ndsn = "host=h1"\n' * 2)
    return (
        said,
        f'{attempt.file}:8: targets[1].name = "a": is already the name of another target; see {attempt.file}:5',
    )


@pytest.mark.parametrize("wrong", [no_file, malformed, twice_the_same_name])
def test_a_wrong_configuration_is_one_line_with_its_place(
    wrong: Callable[[Attempt], tuple[list[str], str]], attempt: Attempt
) -> None:
    """And no store is made for it."""
    said, expected = wrong(attempt)
    (line,) = said
    assert line.startswith(expected)
    assert not list(attempt.directory.glob("second.db*"))


def test_a_store_that_cannot_be_written_names_its_directory(attempt: Attempt) -> None:
    """Nobody may write there, root included."""
    sentence, fix, docs = attempt.refused("", store=Path("/sys/pgvigil.db"))
    assert sentence.startswith("The store /sys/pgvigil.db cannot be written: ")
    assert fix == "  fix: Create the directory /sys and give it to the user that runs pgvigil."
    assert docs.endswith("problems.md#store-unwritable")


def test_a_full_disk_is_said_and_a_start_after_it_is_whole(attempt: Attempt, small_disk: Path) -> None:
    path = small_disk / "pgvigil.db"
    ballast = fill(small_disk)
    sentence, fix, _ = attempt.refused("", store=path)
    assert sentence == f"The store {path} cannot be written: the disk is full."
    assert fix == f"  fix: Free some space on the file system of {small_disk}."
    ballast.unlink()
    environment = {"PGVIGIL_DAEMON__STORE": f"sqlite:///{path}"}
    with running_daemon(attempt.directory, "", environment) as daemon:
        assert daemon.get("/readyz") == (200, "ok\n")


def test_a_store_of_a_newer_version_is_left_byte_for_byte(attempt: Attempt, migrated: Path) -> None:
    attempt.store.write_bytes(migrated.read_bytes())
    with closing(sqlite3.connect(attempt.store)) as plain, plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    before = attempt.store.read_bytes()
    sentence, fix, _ = attempt.refused("")
    assert sentence == f"The store {attempt.store} was written by a newer pgvigil (revision '9999')."
    assert fix.startswith("  fix: Run that version again, or give this one a store of its own")
    assert attempt.store.read_bytes() == before


def test_a_second_daemon_gives_way_and_the_first_goes_on(
    attempt: Attempt, server: Server, tmp_path: Path
) -> None:
    """On the first one's store, and on its port."""
    target = f'[[targets]]\nname = "shop"\ndsn = "{server.dsn()}"\n[collectors.activity]\ninterval = "1s"\n'
    with running_daemon(tmp_path, target) as first:
        poll(lambda: first.get("/readyz")[0] == 200, 20, message="the first is ready")
        sentence, fix, _ = attempt.refused("", store=tmp_path / "pgvigil.db")
        in_use = (
            f"The store {tmp_path}/pgvigil.db is in use by another pgvigil (process {first.process.pid})."
        )
        assert sentence == in_use
        assert fix.startswith("  fix: Stop the other one, or give this one a store of its own")
        listen = urlsplit(first.url).netloc
        sentence, fix, _ = attempt.refused("", listen=listen)
        assert sentence == f"Cannot listen on {listen}: Address already in use."
        assert "daemon.listen" in fix
        assert not attempt.store.exists()
        last = _last_read(first.target("shop"))
        poll(lambda: _last_read(first.target("shop")) > last, 20, message="the first reads on")
        assert first.get("/readyz") == (200, "ok\n")
        assert first.metric("pgvigil_store_errors_total") == 0
        assert first.stop() == codes.OK


def _last_read(target: dict[str, object]) -> str:
    collectors = target["collectors"]
    assert isinstance(collectors, list)
    return max(c["last_success_at"] or "" for c in collectors if c["collector"] == "activity")


DOWN = """
[rules.target_down]
for = "0s"

[[targets]]
name = "away"
dsn = "host=127.0.0.1 port={port} user=pgvigil"
"""


def test_a_target_that_cannot_be_reached_is_no_reason_not_to_start(tmp_path: Path) -> None:
    """It starts, is ready and alive, and says that the target is down and why; so does the command line."""
    with running_daemon(tmp_path, DOWN.format(port=closed_port())) as daemon:
        poll(lambda: daemon.get("/readyz")[0] == 200, 30, message="ready after it was tried")
        assert daemon.get("/healthz") == (200, "ok\n")
        daemon.wait_incident("target_down", "firing")
        assert daemon.target("away")["failure"]["kind"] == "refused"
        assert daemon.metric('pgvigil_target_up{target="away"}') == 0
        listed = subprocess.run(
            [sys.executable, "-m", "daemon", "incidents", "list", "-c", str(daemon.config)],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        assert "connection refused" in listed.stdout
