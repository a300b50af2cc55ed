"""A real PgBouncer in front of a real server, as a process of the test's own."""

import contextlib
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgvigil.scratch.account import Account, server_account
from tests.support.polling import poll
from tests.support.reporting import not_run

MISSING = "no pgbouncer (Debian: apt-get install --no-install-recommends pgbouncer)"
WATCHER = "pgvigil"  # in stats_users
ADMIN = "keeper"  # in admin_users
APPLICATION = "app"  # may log in, and is in neither
PASSWORD = "of-the-tests"

StartPooler = Callable[..., "Pooler"]


class Pooler:
    """One PgBouncer. `databases` are the lines of that section, by name."""

    def __init__(
        self,
        account: Account,
        directory: Path,
        databases: Mapping[str, str],
        settings: Mapping[str, object],
    ) -> None:
        self._directory = directory
        self._databases = dict(databases)
        self._settings = dict(settings)
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._port = _free_port()

    # --- the process ------------------------------------------------------------------------------------

    def start(self) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            not_run(MISSING)
        file = self._write()
        with (self._directory / "output").open("ab") as log:
            self._process = self._account.start([program, str(file)], directory=self._directory, log=log)
        poll(lambda: self._listens() or not self.running, 10)
        assert self.running, self.log()

    def stop(self) -> None:
        """At once, as after a kill; what is frozen goes as well."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def configure(self, **settings: object) -> None:
        """Other settings, at once."""
        self._settings |= settings
        self._write()
        self.admin("RELOAD")

    def log(self) -> str:
        file = self._directory / "output"
        return file.read_text(errors="replace") if file.exists() else ""

    def _write(self) -> Path:
        file, users = self._directory / "pgbouncer.ini", self._directory / "users.txt"
        lines = [f"{name} = {value}" for name, value in self._databases.items()]
        keys = [f"{key} = {value}" for key, value in self._settings.items()]
        fixed = (
            "listen_addr = 127.0.0.1",
            f"listen_port = {self._port}",
            "unix_socket_dir =",
            f"auth_file = {users}",
            f"stats_users = {WATCHER}",
            f"admin_users = {ADMIN}",
        )
        file.write_text("\n".join(("[databases]", *lines, "[pgbouncer]", *fixed, *keys)) + "\n")
        users.write_text("".join(f'"{name}" "{PASSWORD}"\n' for name in (WATCHER, ADMIN, APPLICATION)))
        for each in (file, users):
            each.chmod(0o644)
        return file

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    # --- connections ------------------------------------------------------------------------------------

    def dsn(self, user: str = WATCHER, dbname: str = "pgbouncer", **parameters: Any) -> str:
        named = {
            "host": "127.0.0.1",
            "port": self._port,
            "user": user,
            "password": PASSWORD,
            "dbname": dbname,
        }
        return make_conninfo(**{**named, **parameters})

    def client(self, dbname: str = "shop", **parameters: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """An application's connection through the pooler, in autocommit."""
        return psycopg.connect(
            self.dsn(**{"user": APPLICATION, "dbname": dbname} | parameters), autocommit=True
        )

    @contextmanager
    def knocking(self, dbname: str = "shop") -> Iterator[None]:
        """A client that was asked for its password and says nothing more."""
        names = f"user\0{APPLICATION}\0database\0{dbname}\0\0".encode()
        with socket.create_connection(("127.0.0.1", self._port), timeout=5) as client:
            client.sendall(struct.pack("!ii", 8 + len(names), 3 << 16) + names)
            assert client.recv(1) == b"R"
            yield

    def admin(self, command: str) -> list[dict[str, str | None]]:
        """What the console answers to an administrator."""
        with closing(psycopg.connect(self.dsn(ADMIN), autocommit=True)) as connection:
            result = connection.pgconn.exec_(command.encode())
            assert result.status in {1, 2}, result.error_message
            names = [(result.fname(place) or b"").decode() for place in range(result.nfields)]
            return [
                {name: _text(result.get_value(row, place)) for place, name in enumerate(names)}
                for row in range(result.ntuples)
            ]


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def line(dsn: str, **more: object) -> str:
    """The line of a database behind `dsn`, whose role and password PgBouncer uses for all clients."""
    given = conninfo_to_dict(dsn)
    wanted = {key: given[key] for key in ("host", "port", "dbname", "user", "password") if given.get(key)}
    return " ".join(f"{key}='{value}'" for key, value in (wanted | more).items())


@contextmanager
def pooler_starter() -> Iterator[StartPooler]:
    """`start({"shop": line}, pool_mode="transaction")`: all are stopped at the end."""
    with ExitStack() as stack:

        def start(databases: Mapping[str, str], **settings: object) -> Pooler:
            account = server_account()
            directory = account.make_directory("pgvigil-pooler-")
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            pooler = Pooler(account, directory, databases, settings)
            stack.callback(pooler.stop)
            pooler.start()
            return pooler

        yield start
