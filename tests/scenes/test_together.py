"""What a restore leaves behind in one database is one message, and goes on as one."""

import json
from pathlib import Path

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.polling import poll
from tests.support.servers import Database

RULE = "constraint_not_valid"
LEFT = 4


def _config(database: Database) -> str:
    return f"""
[[targets]]
name = "shop"
dsn = {json.dumps(database.dsn())}
databases = ["{database.name}"]

[collectors.constraints]
interval = "1s"

[rules.{RULE}]
for = "0s"
severity = "warning"
"""


def test_constraints_that_a_restore_left_unproven_are_told_once(
    database: Database, slack: FakeSlack, tmp_path: Path
) -> None:
    """Also after kill -9, and when they are mended one after the other."""
    for number in range(LEFT):
        database.execute(f"CREATE TABLE orders_{number} (total int)")
        database.execute(f"ALTER TABLE orders_{number} ADD CONSTRAINT sound CHECK (total > 0) NOT VALID")
    with running_daemon(tmp_path, _config(database) + oncall.sink(slack, tmp_path)) as daemon:

        def firing() -> list[dict[str, object]]:
            return [one for one in daemon.incidents(RULE) if one["state"] == "firing"]

        poll(lambda: len(firing()) == LEFT, 30, message="all of them fire")
        poll(slack.roots, 20, message="it was posted")
        [leader] = [one for one in firing() if one["suppressed_by"] is None]
        assert f"{LEFT} began together: it looks like a schema change" in as_text(slack.roots()[0])
        daemon.kill9()
        daemon.start_again()
        poll(lambda: len(firing()) == LEFT, 30, message="all of them still fire")
        assert [one["suppressed_by"] for one in firing()].count(None) == 1

        number = next(n for n in range(LEFT) if f"orders_{n}" in str(leader["subject"]))
        database.execute(f"ALTER TABLE orders_{number} VALIDATE CONSTRAINT sound")
        poll(lambda: "Resolved" in as_text(slack.roots()[0]), 20, message="its end is shown")
        for n in range(LEFT):
            database.execute(f"ALTER TABLE orders_{n} VALIDATE CONSTRAINT sound")
        poll(lambda: not firing(), 30, message="nothing is left")
        assert len(slack.roots()) == 1
