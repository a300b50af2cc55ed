"""A lock pile-up, from the sessions that wait to the message on Slack and back."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch.server import ScratchServer
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}

[rules.blocking_chain]
warning = "1s"
critical = "8s"
keep_firing_for = "2s"

[rules.idle_in_transaction]
warning = "1s"
clear = "1s"
{sink}
[[routes]]
sinks = ["oncall"]
mention = "<!subteam^S123>"
"""


@contextlib.contextmanager
def watched(dsn: str, slack: FakeSlack, directory: Path) -> Iterator[RunningDaemon]:
    config = CONFIG.format(dsn=json.dumps(dsn), sink=oncall.sink(slack, directory))
    with running_daemon(directory, config, {"NO_PROXY": "127.0.0.1"}) as daemon:
        yield daemon


def test_one_message_for_root_victims_and_queued_ddl(
    own_server: ScratchServer, slack: FakeSlack, tmp_path: Path
) -> None:
    """Fires once, worsens in place and is heard, names the relation, and resolves."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
    database = own_server.dsn("shop")
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
        admin.execute("INSERT INTO orders VALUES (1, 'new')")
    with (
        watched(own_server.dsn(), slack, tmp_path) as daemon,
        idle_in_transaction(database, "UPDATE orders SET status = 'paid' WHERE id = 1") as root,
    ):
        idle = daemon.wait_incident("idle_in_transaction", "firing")
        with (
            blocked_session(database, "UPDATE orders SET status = 'x' WHERE id = 1"),
            blocked_session(
                database, "ALTER TABLE orders ADD COLUMN note text", application_name="migration"
            ),
            blocked_session(database, "SELECT count(*) FROM orders"),
        ):
            chain = daemon.wait_incident("blocking_chain", "firing")
            assert str(root.pid) in chain["summary"]
            child = poll(
                lambda: [i for i in daemon.incidents("idle_in_transaction") if i["suppressed_by"]], 20
            )
            assert child[0]["id"] == idle["id"]
            assert child[0]["suppressed_by"] == chain["id"]
            worse = poll(
                lambda: [
                    i for i in daemon.incidents("blocking_chain", "firing") if i["severity"] == "critical"
                ],
                30,
            )[0]
            tree = "\n".join(block["text"] for block in worse["evidence"]["blocks"])
            assert "orders" in tree
            assert "ALTER TABLE" in tree
            root.connection.rollback()
            daemon.wait_incident("blocking_chain", "resolved")
        daemon.wait_incident("idle_in_transaction", "resolved")
        poll(lambda: all("Resolved" in as_text(root) for root in slack.roots()), 20)
        assert len(daemon.incidents()) == 2
        assert [as_text(root).count("INC-") for root in slack.roots()] == [1, 2]  # the chain names its child

        def heard() -> list[bool]:
            replies = [as_text(reply) for root in slack.roots() for reply in slack.replies(root["ts"])]
            return sorted("S123" in text for text in replies)

        poll(lambda: len(heard()) >= 3, 20, message="worse, and two resolves")
        assert heard() == [False, False, True]
