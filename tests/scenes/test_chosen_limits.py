"""Limits that people set in the configuration, judged on a real server."""

import json
from pathlib import Path

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop-prod"
dsn = {dsn}
labels = {{ env = "prod" }}

[[targets]]
name = "shop-test"
dsn = {dsn}
labels = {{ env = "test" }}

[collectors.activity]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"

[rules.idle_in_transaction.overrides."env=test"]
enabled = false

[rules.threshold.instances.forgotten]
title = "sessions that forgot their transaction"
collector = "activity"
table = "activity_groups"
column = "sessions"
aggregate = "sum"
where = {{ state = "idle in transaction" }}
group_by = ["application"]
warning = 1
critical = 9

[rules.threshold.instances.forgotten.overrides."shop-test"]
critical = 2
"""
NAME = "threshold.forgotten"


def test_a_limit_on_a_column_and_overrides_by_label_and_name(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """The same server under two names: each target is judged by what holds for it."""
    dsn = own_server.dsn()
    with (
        running_daemon(tmp_path, CONFIG.format(dsn=json.dumps(dsn))) as daemon,
        idle_in_transaction(dsn, "SELECT 1", application_name="report"),
        idle_in_transaction(dsn, "SELECT 1", application_name="report"),
    ):

        def severities() -> dict[str, str]:
            return {one["target"]: one["severity"] for one in daemon.incidents(NAME, "firing")}

        expected = {"shop-prod": "warning", "shop-test": "critical"}
        poll(lambda: severities() == expected, 20, message=f"{NAME}: {severities()}")
        assert all("report" in one["subject"] for one in daemon.incidents(NAME))
        assert all("sessions that forgot" in one["summary"] for one in daemon.incidents(NAME))
        daemon.wait_incident("idle_in_transaction", "firing")
        assert {one["target"] for one in daemon.incidents("idle_in_transaction")} == {"shop-prod"}
    assert daemon.events("rule_failed") == []
