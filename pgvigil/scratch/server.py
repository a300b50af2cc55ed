"""A throw-away PostgreSQL server on the loopback interface."""

import contextlib
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Self

from pgvigil.scratch import processes, template, tidy
from pgvigil.scratch.account import SHORT_TEMPORARY, Account, server_account
from pgvigil.scratch.binaries import HOW_TO_GET_ONE, Binaries
from pgvigil.scratch.errors import NotStartedError, PortTakenError
from pgvigil.scratch.guard import GUARD

StopMode = Literal["smart", "fast", "immediate"]
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Below the ranges that systems hand out for outgoing connections, so that a stopped server's port stays free.
_PORTS = range(20000, 32000)
_PORT_ATTEMPTS = 5
_SOCKET_DIRECTORY_MAX_BYTES = 80  # sun_path holds 103 on macOS, 107 on Linux; /.s.PGSQL.NNNNN.lock is added

# Speed instead of durability; memory files inside the data directory, so that a kill leaves none in /dev/shm.
_THROW_AWAY: Mapping[str, str] = MappingProxyType(
    {
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "dynamic_shared_memory_type": "mmap",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "track_io_timing": "on",  # these two as `pgvigil doctor` asks for them
        "track_activity_query_size": "4096",
    }
)


class ScratchServer:
    """Made by `start`. `directory` holds everything: `data/`, the socket, `server.log`.

    `stop` halts and keeps the data for `start_again`; `close` (also by `with`, at interpreter exit, and by the
    watcher if we are killed) ends the server in whatever state it is and removes the directory.
    """

    def __init__(self, binaries: Binaries, account: Account, directory: Path, password: str | None) -> None:
        self.binaries = binaries
        self.directory = directory
        self.port = 0
        self.password = password
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._close_lock = threading.Lock()
        self.socket_directory = directory
        self._closed = False

    @classmethod
    def start(
        cls,
        binaries: Binaries,
        *,
        preload: Sequence[str] = ("pg_stat_statements",),
        settings: Mapping[str, str] | None = None,
        directory: Path | None = None,
        password: str | None = None,
        deadline_s: float = 60.0,
    ) -> Self:
        """A running server that accepts connections, on a free port.

        `directory` is where to make the server's own (default: the system's temporary directory). Superuser is
        `postgres`, without a password unless one is given. `settings` win over ours. Raises NotStartedError.
        """
        if "pg_stat_statements" in preload and not binaries.contrib:
            raise NotStartedError(f"{binaries.bindir} lacks pg_stat_statements; {HOW_TO_GET_ONE}")
        account = server_account()
        server = cls(binaries, account, account.make_directory("pgvigil-", directory), password)
        GUARD.protect(server.directory, server.close)
        try:
            template.data_directory(binaries, account, server.data, password)
            server._configure(preload, settings or {})
            server._start_on_a_free_port(deadline_s)
        except BaseException:
            server.close()
            raise
        return server

    # --- where it is ---

    @property
    def data(self) -> Path:
        return self.directory / tidy.DATA

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def pid(self) -> int:
        """The postmaster's; raises NotStartedError while the server is stopped."""
        if self._process is None:
            raise NotStartedError("the server is stopped")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """Over TCP; contains the password of `postgres` where the server has one and `user` is postgres."""
        secret = f" password='{_quoted(self.password)}'" if self.password and user == "postgres" else ""
        return f"host=127.0.0.1 port={self.port} dbname='{_quoted(dbname)}' user='{_quoted(user)}'{secret}"

    # --- what can be done to it ---

    def stop(self, mode: StopMode = "fast", *, deadline_s: float = 30.0) -> None:
        """End the server and keep its data; one that does not end in time is killed. Stopped already: no-op."""
        if self._process is None:
            return
        self.sigcont()
        self._process.send_signal(_SIGNALS[mode])
        try:
            self._process.wait(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            self.kill9()
        self._process = None

    def start_again(self, *, deadline_s: float = 60.0) -> None:
        """Start a stopped or killed server on the same port and data. Raises NotStartedError."""
        self._launch(deadline_s)

    def restart(self, mode: StopMode = "fast") -> None:
        self.stop(mode)
        self.start_again()

    def reload(self, settings: Mapping[str, str]) -> None:
        """Append to the configuration and have the server read it; takes effect a moment later."""
        self._append(settings)
        processes.send(processes.family(self.pid)[:1], signal.SIGHUP)

    def sigstop(self) -> None:
        """Freeze the postmaster and all backends: the port accepts, and nobody answers."""
        processes.stop_family(self.pid)

    def sigcont(self) -> None:
        """Undo `sigstop`; harmless otherwise."""
        processes.continue_family(self.pid)

    def kill9(self) -> None:
        """A crash: SIGKILL to the postmaster and all backends; `start_again` then does crash recovery."""
        if self._process is None:
            return
        processes.kill_family(self._process.pid)
        self._process.wait(timeout=10)
        self._process = None

    def close(self) -> None:
        """End it, at once, and remove its directory. May be called twice."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
            self.stop("immediate", deadline_s=5)
            processes.release_shared_memory(self.data)
            tidy.remove(self.directory)
            if self.socket_directory != self.directory:
                tidy.remove(self.socket_directory)
                GUARD.release(self.socket_directory)
            GUARD.release(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside ---

    def _configure(self, preload: Sequence[str], settings: Mapping[str, str]) -> None:
        if len(bytes(self.directory)) > _SOCKET_DIRECTORY_MAX_BYTES:
            self.socket_directory = self._account.make_directory("pgv-", SHORT_TEMPORARY)
            GUARD.protect(self.socket_directory, lambda: None)
        ours = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.socket_directory),
            "shared_preload_libraries": ",".join(preload),
        }
        self._append({**_THROW_AWAY, **ours, **settings})

    def _append(self, settings: Mapping[str, str]) -> None:
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(lines)

    def _start_on_a_free_port(self, deadline_s: float) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = _free_port()
            try:
                self._launch(deadline_s)
            except PortTakenError:
                if attempt == _PORT_ATTEMPTS:
                    raise
            else:
                return

    def _launch(self, deadline_s: float) -> None:
        with self.log.open("ab") as log:
            start = log.tell()
            self._process = self._account.start(
                [self.binaries.program("postgres"), "-D", str(self.data), "-p", str(self.port)],
                directory=self.directory,
                log=log,
            )
        give_up_at = time.monotonic() + deadline_s
        while not self._ready():
            if not self.running or time.monotonic() > give_up_at:
                self._fail(start)
            time.sleep(0.01)

    def _ready(self) -> bool:
        """Whether postmaster.pid is this process's and says "ready" on line 8 (standby: hot standby accepts)."""
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return len(lines) >= 8 and int(lines[0]) == self.pid and lines[7].strip() in {"ready", "standby"}
        return False

    def _fail(self, log_start: int) -> None:
        self.kill9()
        text = self.log.read_bytes()[log_start:].decode(errors="replace").strip()
        error = PortTakenError if "Address already in use" in text else NotStartedError
        raise error(f"PostgreSQL {self.binaries.version} did not start; its log ends:\n{text[-2000:]}")


def _quoted(value: str | None) -> str:
    return (value or "").replace("\\", "\\\\").replace("'", "\\'")


def _free_port() -> int:
    """A port that nobody listens on now; somebody may still be faster than the server."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise PortTakenError("no free port between 20000 and 32000 on 127.0.0.1")
