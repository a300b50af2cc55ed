"""A target that goes away and comes back: said with its class, once, and everything else becomes unknown."""

import json
from pathlib import Path

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import running_daemon

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}

[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[rules.target_down]
for = "1s"

[rules.idle_in_transaction]
warning = "1s"
"""


def test_a_server_that_stops_is_down_and_its_other_incidents_are_unknown(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Stopped: refused. The open incident is unknown, not resolved; it resolves when the server was asked again."""
    with running_daemon(tmp_path, CONFIG.format(dsn=json.dumps(own_server.dsn()))) as daemon:
        idle = psycopg.connect(own_server.dsn())
        idle.execute("SELECT 1")
        daemon.wait_incident("idle_in_transaction", "firing")
        own_server.stop()
        idle.close()
        down = daemon.wait_incident("target_down", "firing")
        assert down["severity"] == "critical"
        assert "refuse" in down["summary"].lower()
        child = daemon.wait_incident("idle_in_transaction", "unknown")
        assert child["suppressed_by"] == down["id"]
        assert daemon.target("shop")["up"] is False
        assert daemon.target("shop")["failure"]["kind"] == "refused"
        assert daemon.metric('pgvigil_target_up{target="shop"}') == 0
        assert daemon.get("/healthz")[0] == 200
        own_server.start_again()
        daemon.wait_incident("target_down", "resolved")
        gone = daemon.wait_incident("idle_in_transaction", "resolved")
        assert gone["id"] == child["id"]
        assert daemon.metric('pgvigil_target_up{target="shop"}') == 1
        assert daemon.stop() == 0
