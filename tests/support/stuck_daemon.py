"""`pgvigil run` of which one part hangs for ever: `python -m tests.support.stuck_daemon PART run -c FILE`.

PART is one of PARTS; all but `building` hang once the daemon has started. The limits past which a part counts as
stuck are cut down to LIMIT_S. The hooks live here: the daemon knows nothing of them.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import daemon.loops
import daemon.wiring
from alerts.outbox.courier import Courier
from daemon.cli import main as pgvigil
from daemon.http.server import _Server
from daemon.lanes.lane import ServerLane
from daemon.wiring import Daemon
from pgvigil.store import Store
from pgvigil.store.memory import Memory

LIMIT_S = 2.0
_armed = threading.Event()


def _hang(*_given: Any, **_named: Any) -> None:
    while True:
        time.sleep(3600)


def _hang_when_armed(owner: type, name: str) -> Callable[[Daemon], None]:
    original = getattr(owner, name)

    def hanging(*given: Any, **named: Any) -> Any:
        if _armed.is_set():
            _hang()
        return original(*given, **named)

    setattr(owner, name, hanging)
    return lambda _daemon: None


def _lane() -> Callable[[Daemon], None]:
    return _hang_when_armed(ServerLane, "_attempt")


def _scheduler() -> Callable[[Daemon], None]:
    return lambda running: running._ticker.every("stuck", 3600.0, _hang)


def _writer() -> Callable[[Daemon], None]:
    original = Memory.change

    def change(memory: Memory, work: Any) -> Any:
        return original(memory, _hang if _armed.is_set() else work)

    Memory.change = change  # type: ignore[method-assign,assignment]
    return lambda running: threading.Thread(target=running._heartbeat.beat, daemon=True).start()


def _http() -> Callable[[Daemon], None]:
    async def hanging(server: _Server, _counter: int) -> bool:
        server.beat_mono_s = time.monotonic()
        while _armed.is_set():
            time.sleep(0.1)  # noqa: ASYNC251 - the event loop itself is to stand still
        await asyncio.sleep(0)
        return server.should_exit

    _Server.on_tick = hanging  # type: ignore[method-assign]
    return lambda _daemon: None


def _outbox() -> Callable[[Daemon], None]:
    _hang_when_armed(Courier, "step")
    return lambda running: running._outboxes.wake()


def _building() -> Callable[[Daemon], None]:
    Store.open = _hang  # type: ignore[method-assign,assignment]
    return lambda _daemon: None


PARTS = {
    "lane": _lane,
    "scheduler": _scheduler,
    "store writer": _writer,
    "http": _http,
    "outbox": _outbox,
    "building": _building,
}


def main(part: str, arguments: list[str]) -> int:
    for module, limit in (
        (daemon.loops, "LANE_LIMIT_S"),
        (daemon.loops, "OUTBOX_LIMIT_S"),
        (daemon.wiring, "WRITE_LIMIT_S"),
        (daemon.wiring, "OWN_LIMIT_S"),
    ):
        setattr(module, limit, LIMIT_S)
    after = PARTS[part]()
    start = Daemon.start

    def started(running: Daemon) -> None:
        start(running)
        _armed.set()
        after(running)

    Daemon.start = started  # type: ignore[method-assign]
    return pgvigil(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
