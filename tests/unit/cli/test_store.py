"""`pgvigil store`, beside a daemon that has the store open and without one."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from daemon.cli import codes, main
from daemon.clock import system_now
from daemon.doctor.store import store_problems
from pgvigil.model.incident import Transition
from pgvigil.store import Store
from tests.support.reporting import not_run
from tests.unit.sinks.samples import pile_up, resolved

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return used(tmp_path)


def used(folder: Path) -> Path:
    """A store with an open incident, one resolved lately and one long ago, and texts of a target that is gone."""
    url = f"sqlite:///{folder}/pgvigil.db"
    file = folder / "pgvigil.toml"
    file.write_text(f'[daemon]\nstore = "{url}"\n')
    with closing(Store.open(url)) as store:
        now = system_now().utc
        for number, days in enumerate((1, 100)):
            one = replace(resolved(id=0, subject=f"session {number}"), resolved_at=now - timedelta(days=days))
            store.incidents.commit([Transition("opened", None, one)])
        store.incidents.commit([Transition("opened", None, pile_up(id=0))])
        store.texts.put("gone", {(1, 2, queryid): "x" * 4000 for queryid in range(100)})
    return file


@pytest.fixture
def running(config: Path) -> Iterator[Store]:
    with closing(Store.open(f"sqlite:///{config.parent}/pgvigil.db")) as store:
        yield store


def run(config: Path, *arguments: str) -> int:
    return main(["store", *arguments, "-c", str(config)])


def test_info_shows_size_rows_and_the_copy_beside_a_running_daemon(
    config: Path, running: Store, capsys: Capture
) -> None:
    assert run(config, "info") == codes.OK
    assert "copy: none yet" in capsys.readouterr().out
    running.copy()
    assert run(config, "info", "--json") == codes.OK
    found = json.loads(capsys.readouterr().out)
    assert found["rows"]["incident"] == 3
    assert found["rows"]["statement_text"] == 100
    assert found["size_bytes"] == running.size_bytes
    assert found["copy"]["path"].endswith("pgvigil.db-copy")
    assert run(config, "info") == codes.OK
    assert f"copy: {config.parent}/pgvigil.db-copy, of 20" in capsys.readouterr().out


def test_check_reads_store_and_copy_beside_a_running_daemon(
    config: Path, running: Store, capsys: Capture
) -> None:
    running.copy()
    assert run(config, "check") == codes.OK
    assert [line.endswith(": whole") for line in capsys.readouterr().out.splitlines()] == [True, True]


def test_check_finds_damage_in_pages(config: Path, capsys: Capture) -> None:
    path = config.parent / "pgvigil.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert run(config, "check", "--json") == codes.CRITICAL
    assert json.loads(capsys.readouterr().out)["files"][0]["damage"]


def test_check_finds_rows_that_lost_their_incident(config: Path, capsys: Capture) -> None:
    with closing(sqlite3.connect(config.parent / "pgvigil.db")) as plain, plain:
        plain.execute("DELETE FROM incident")
    assert run(config, "check") == codes.CRITICAL
    assert "DAMAGED: row 1 of incident_event lacks its parent in incident" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["info", "check", "prune"])
def test_a_store_that_is_not_there_is_said_and_not_begun(
    tmp_path: Path, capsys: Capture, command: str
) -> None:
    """As root, in the place that a mistake names, it would be one that the daemon cannot open."""
    file = tmp_path / "pgvigil.toml"
    file.write_text(f'[daemon]\nstore = "sqlite:///{tmp_path}/pgvigil.db"\n')
    assert run(file, command) == codes.SETUP
    assert "does not exist" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["pgvigil.toml"]


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A store of root in a folder that all may look at. Here is nobody; what a command imports late is imported."""
    if os.geteuid() != 0:
        not_run("only root becomes somebody else")
    with TemporaryDirectory() as folder:
        config = used(Path(folder))
        for command in ("info", "check", "prune"):
            assert run(config, command) == codes.OK
        config.parent.chmod(0o755)
        os.seteuid(65534)
        try:
            yield config
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("command", ["info", "check", "prune"])
def test_who_may_not_read_the_store_is_told_who_may(foreign: Path, capsys: Capture, command: str) -> None:
    capsys.readouterr()
    assert run(foreign, command) == codes.SETUP
    said = capsys.readouterr().err
    assert "pgvigil.db cannot be read: Permission denied" in said
    assert "fix: Run this as the user that runs pgvigil" in said


def test_who_may_only_read_it_can_check_it(foreign: Path, capsys: Capture) -> None:
    """Without a daemon SQLite would want to make files beside it."""
    os.seteuid(0)
    (foreign.parent / "pgvigil.db").chmod(0o644)
    os.seteuid(65534)
    capsys.readouterr()
    assert run(foreign, "check") == codes.OK
    assert "pgvigil.db: whole" in capsys.readouterr().out


@pytest.mark.parametrize("sql", ["SELECT 1", "CREATE TABLE other (a)"])
def test_check_does_not_call_whole_what_is_no_store(config: Path, capsys: Capture, sql: str) -> None:
    path = config.parent / "pgvigil.db"
    path.unlink()
    with closing(sqlite3.connect(path)) as plain:
        plain.execute(sql)
    path.touch()
    assert run(config, "check") == codes.CRITICAL
    assert "DAMAGED: it is empty, or a database of another program" in capsys.readouterr().out


def test_prune_forgets_what_the_retention_says_and_makes_the_file_smaller(
    config: Path, capsys: Capture
) -> None:
    before = (config.parent / "pgvigil.db").stat().st_size
    assert run(config, "prune") == codes.OK
    assert capsys.readouterr().out.startswith(
        "forgot 1 incidents, 0 transitions, 100 texts, 0 series and 0 changes; 4"
    )
    assert (config.parent / "pgvigil.db").stat().st_size < before - 300_000
    assert run(config, "prune", "--json") == codes.OK
    assert json.loads(capsys.readouterr().out) == {
        "incidents": 0,
        "transitions": 0,
        "texts": 0,
        "series": 0,
        "changes": 0,
        "freed_bytes": 0,
    }


def test_prune_with_a_shorter_retention(config: Path, capsys: Capture) -> None:
    config.write_text(config.read_text() + '[retention]\nincidents = "1d"\n')
    assert run(config, "prune", "--json") == codes.OK
    assert json.loads(capsys.readouterr().out)["incidents"] == 2


def test_prune_leaves_the_store_of_a_running_daemon_alone(
    config: Path, running: Store, capsys: Capture
) -> None:
    assert run(config, "prune") == codes.SETUP
    assert "is in use by another pgvigil" in capsys.readouterr().err
    assert running.rows()["incident"] == 3


def test_whoever_comes_upon_the_damage_says_what_is_lost(config: Path, capsys: Capture) -> None:
    """`prune` recovers as a start does; the daemon, doctor and `info` say it afterwards all the same."""
    path = config.parent / "pgvigil.db"
    with closing(Store.open(f"sqlite:///{path}")) as store:
        store.copy()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert run(config, "prune") == codes.OK
    assert "was replaced by its copy" in capsys.readouterr().err
    assert run(config, "info") == codes.OK
    assert "was replaced by its copy" in capsys.readouterr().err
    (problem,) = store_problems(path)
    assert problem.slug == "store-recovered"
    assert "is lost" in problem.sentence
    assert str(path.with_name("pgvigil.db.damaged-")) in problem.fix
