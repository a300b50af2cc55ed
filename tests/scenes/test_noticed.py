"""What pgvigil saw change at a server is named in the cause of what begins afterwards."""

import json
from pathlib import Path

import psycopg

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch.server import ScratchServer
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}
databases = ["postgres"]

[collectors.activity]
interval = "1s"

[collectors.settings]
interval = "1s"

[collectors.cluster]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"

[rules.setting_changed]
enabled = false
"""


def cause(slack: FakeSlack, server: ScratchServer) -> str:
    """What the message says of an incident that begins now."""
    before = len(slack.roots())
    with idle_in_transaction(server.dsn(), "SELECT 1", application_name="report"):
        poll(lambda: len(slack.roots()) > before, 30, message="it is told")
        text = as_text(slack.roots()[-1])
    (line,) = [each for each in text.splitlines() if each.startswith("Likely cause")]
    return line


def test_a_setting_and_a_restart_are_told_with_their_distance_also_after_a_crash(
    own_server: ScratchServer, slack: FakeSlack, tmp_path: Path
) -> None:
    config = CONFIG.format(dsn=json.dumps(own_server.dsn())) + oncall.sink(slack, tmp_path)
    with running_daemon(tmp_path, config) as daemon:
        for collector in ("settings", "cluster"):
            daemon.read_again("shop", collector)
        with psycopg.connect(own_server.dsn(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET maintenance_work_mem = '77MB'")
            admin.execute("SELECT pg_reload_conf()")
        daemon.read_again("shop", "settings", times=2)
        told = cause(slack, own_server)
        assert "after: maintenance_work_mem was changed from " in told
        assert " to 77MB. " in told
        assert "restarted" not in told
        own_server.restart()
        daemon.read_again("shop", "cluster", times=2)
        daemon.kill9()
        daemon.start_again()
        told = cause(slack, own_server)
        assert "after: the server was restarted. " in told
        assert "maintenance_work_mem" in told
