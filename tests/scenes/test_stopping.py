"""SIGTERM ends the daemon in order and in time, whatever its targets do."""

import json
import time
from pathlib import Path

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import running_daemon
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}
"""


def test_a_server_that_froze_does_not_hold_the_daemon_up(own_server: ScratchServer, tmp_path: Path) -> None:
    """A read that waits for a stopped server is interrupted; exit code 0 within ten seconds."""
    with running_daemon(tmp_path, CONFIG.format(dsn=json.dumps(own_server.dsn()))) as daemon:
        poll(lambda: daemon.target("shop")["up"], 20)
        own_server.sigstop()
        try:
            before = len(daemon.events("target_unreachable"))
            poll(lambda: len(daemon.events("target_unreachable")) > before, 30)
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 10
        finally:
            own_server.sigcont()
        assert daemon.events("stopped")
        assert not daemon.events("work_failed")
