"""kill -9 at every stage between the reading and the message: nothing is lost, nothing is said twice."""

from pathlib import Path

import psycopg
import pytest

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.polling import poll
from tests.support.servers import Database

COMMIT = "pgvigil.store.incidents:Incidents.commit"
WAKE = "alerts.outbox.worker:OutboxWorker.wake"
BEGIN = "pgvigil.store.deliveries:Deliveries.begin"
SETTLE = "pgvigil.store.deliveries:Deliveries.settle"

OPENING = [
    (COMMIT, "before", 1),
    (COMMIT, "after", 1),
    (WAKE, "before", 1),
    (BEGIN, "before", 1),
    (BEGIN, "after", 1),
    ("alerts.sinks.slack.sink:SlackSink.perform", "after", 1),  # Slack has it, and we have not noted it
    (SETTLE, "before", 1),
    (SETTLE, "after", 1),
]
RESOLVING = [
    (COMMIT, "before", 2),
    (COMMIT, "after", 2),
    ("alerts.sinks.slack.sink:SlackSink.perform", "after", 2),  # the edit
    (BEGIN, "after", 2),
    ("alerts.sinks.slack.sink:SlackSink.perform", "after", 3),  # the reply
    (SETTLE, "before", 2),
    (SETTLE, "after", 2),
]


def stage(point: tuple[str, str, int]) -> str:
    where, when, nth = point
    return f"{when}-{where.rpartition('.')[2]}-{nth}"


def wait_death(process: object) -> None:
    poll(lambda: process.poll() is not None, 25, message="it killed itself")  # type: ignore[attr-defined]


@pytest.mark.parametrize("point", [*OPENING, *RESOLVING], ids=stage)
def test_one_message_and_one_resolve_however_it_died(
    point: tuple[str, str, int], database: Database, slack: FakeSlack, tmp_path: Path
) -> None:
    config = oncall.idle_sessions(database) + oncall.sink(slack, tmp_path)
    program = ("tests.support.crashing_daemon", point[0], point[1], str(point[2]))
    with running_daemon(tmp_path, config, program=program) as daemon:
        with psycopg.connect(database.dsn()) as idle:
            idle.execute("SELECT 1")
            if point in OPENING:
                wait_death(daemon.process)
                daemon.start_again()
            poll(lambda: len(slack.roots()) == 1, 20, message="announced")
            opened = daemon.wait_incident("idle_in_transaction", "firing")
        if point in RESOLVING:
            wait_death(daemon.process)
            daemon.start_again()
        resolved = daemon.wait_incident("idle_in_transaction", "resolved")
        assert resolved["id"] == opened["id"]
        poll(lambda: "Resolved" in as_text(slack.roots()[0]), 20, message="the root says so")
        poll(lambda: slack.replies(slack.roots()[0]["ts"]), 20, message="the resolve was heard")
        poll(lambda: daemon.metric('pgvigil_outbox_pending{sink="oncall"}') == 0, 20)
        assert len(slack.roots()) == 1
        assert len(slack.replies(slack.roots()[0]["ts"])) == 1
