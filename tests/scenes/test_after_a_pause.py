"""The daemon was away: what happened meanwhile is one message, and every incident goes on from there."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text, mentions
from daemon.demo.fake_slack_workspace import Message
from daemon.heartbeat import ALIVE
from pgvigil.model.incident import Transition
from pgvigil.store import Store
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.idlers import Sessions
from tests.support.polling import poll
from tests.support.servers import Database

HEARD = """
[[routes]]
sinks = ["oncall"]
mention = "<!subteam^S1>"
"""
FINISH = "pgvigil.store.digests:Digests.finish"
TELL = "alerts.sinks.slack.sink:SlackSink.tell"
PUT = "pgvigil.store.digests:Digests.put"


@pytest.fixture
def daemon(database: Database, slack: FakeSlack, tmp_path: Path) -> Iterator[RunningDaemon]:
    config = 'digest_after = "5m"\n' + oncall.idle_sessions(database) + oncall.sink(slack, tmp_path) + HEARD
    with running_daemon(tmp_path, config) as running:
        yield running


@pytest.fixture
def sessions(database: Database) -> Iterator[Sessions]:
    with Sessions(database) as staged:
        yield staged


def away(daemon: RunningDaemon, for_s: float = 7800.0) -> None:
    """It has been dead for that long, as far as its store tells."""
    store = Store.open(f"sqlite:///{daemon.directory}/pgvigil.db")
    by = timedelta(seconds=for_s)
    try:
        store.state.put(ALIVE, (datetime.now(UTC) - by).isoformat())
        for was in store.incidents.open():
            older = replace(was, evaluated_at=was.evaluated_at - by, last_true_at=was.last_true_at - by)
            store.incidents.commit([Transition("refreshed", was, older)])
    finally:
        store.close()


def settled(daemon: RunningDaemon) -> None:
    poll(lambda: daemon.metric('pgvigil_outbox_pending{sink="oncall"}') == 0, 30, message="all is told")


def resolved(daemon: RunningDaemon, sessions: Sessions, name: str) -> None:
    who = sessions.subject(name)
    poll(
        lambda: [one["state"] for one in daemon.incidents() if who in one["summary"]] == ["resolved"],
        30,
        message=f"{name} is resolved: {daemon.incidents()}",
    )


def line(text: str, who: str) -> str:
    (found,) = [each for each in text.splitlines() if f"{who} " in each]
    return found


def before_the_pause(daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack) -> None:
    sessions.begin("still", "over")
    poll(lambda: len(slack.roots()) == 2, 30, message="two are told one by one")
    settled(daemon)
    daemon.kill9()
    sessions.end("over")
    sessions.begin("new 1", "new 2", "new 3")
    sessions.wait_long_enough()
    away(daemon)


def judge(daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack) -> Message:
    """One more message in the channel; each new one below it; the one that is over says so."""
    poll(lambda: oncall.digests(slack), 30, message="the digest is there")
    (digest,) = oncall.digests(slack)
    poll(lambda: len(slack.replies(digest["ts"])) == 3, 30, message="each new one stands in its thread")
    settled(daemon)
    assert len(slack.roots()) == 3
    over, still = (
        next(root for root in slack.roots() if sessions.subject(name) in as_text(root))
        for name in ("over", "still")
    )
    assert as_text(over).startswith("✅ Resolved")
    assert slack.replies(over["ts"]) == ()
    assert slack.replies(still["ts"]) == ()
    assert not any("subtype" in reply for reply in slack.replies(digest["ts"]))
    assert "possible duplicate" not in json.dumps(slack.messages())
    return digest


def test_a_pause_is_one_message_and_its_thread_goes_on(
    daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack
) -> None:
    before_the_pause(daemon, sessions, slack)
    daemon.start_again()
    digest = judge(daemon, sessions, slack)
    text = as_text(digest)
    assert "pgvigil was away for 2h10m" in text
    assert "3 new, 1 still firing, 1 resolved meanwhile" in text
    assert mentions(digest) == ("<!subteam^S1>",)
    assert [mentions(reply) for reply in slack.replies(digest["ts"])] == [()] * 3
    assert "✅" in line(text, sessions.subject("over"))
    assert "not looked at again" not in line(text, sessions.subject("still"))
    assert "archives" in line(text, sessions.subject("still"))
    for name in ("new 1", "new 2", "still"):
        sessions.end(name)
        resolved(daemon, sessions, name)
    settled(daemon)
    thread = slack.replies(digest["ts"])
    assert len(thread) == 5, "two resolves were heard there"
    for name in ("new 1", "new 2"):
        own, heard = (as_text(reply) for reply in thread if sessions.subject(name) in as_text(reply))
        assert "✅ Resolved" in own
        assert "✅ Resolved" in heard
    assert len(oncall.digests(slack)) == 1


def test_a_short_restart_says_no_more_than_it_must(
    daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack
) -> None:
    sessions.begin("still", "over")
    poll(lambda: len(slack.roots()) == 2, 30)
    settled(daemon)
    daemon.kill9()
    sessions.end("over")
    sessions.begin("new")
    away(daemon, 200)
    daemon.start_again()
    poll(lambda: len(slack.roots()) == 3, 30)
    resolved(daemon, sessions, "over")
    settled(daemon)
    assert oncall.digests(slack) == []


def test_after_a_pause_with_one_thing_to_say_it_is_said_as_ever(
    daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack
) -> None:
    sessions.begin("still")
    poll(slack.roots, 30)
    settled(daemon)
    daemon.kill9()
    sessions.begin("new")
    away(daemon)
    daemon.start_again()
    poll(lambda: len(slack.roots()) == 2, 30)
    settled(daemon)
    assert oncall.digests(slack) == []
    assert mentions(slack.roots()[1]) == ("<!subteam^S1>",)


@pytest.mark.parametrize(
    ("where", "when", "nth"),
    [(PUT, "before", 1), (PUT, "after", 1), (TELL, "after", 1), (FINISH, "before", 1), (FINISH, "after", 1)],
)
def test_killed_around_the_digest_it_is_still_one(
    daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack, where: str, when: str, nth: int
) -> None:
    before_the_pause(daemon, sessions, slack)
    daemon.start_again(("tests.support.crashing_daemon", where, when, str(nth)), wait=False)
    poll(lambda: daemon.process.poll() is not None, 30, message="it killed itself")
    daemon.start_again()
    judge(daemon, sessions, slack)


@pytest.mark.parametrize(
    "fault", [faults.drop(accepted=True), faults.http_error(503), faults.rate_limited(1)], ids=str
)
def test_whatever_slack_does_it_is_one(
    daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack, fault: faults.Fault
) -> None:
    before_the_pause(daemon, sessions, slack)
    slack.inject("chat.postMessage", fault)
    daemon.start_again()
    judge(daemon, sessions, slack)


def test_where_slack_refuses_the_digest_each_is_told_by_itself(
    daemon: RunningDaemon, sessions: Sessions, slack: FakeSlack
) -> None:
    before_the_pause(daemon, sessions, slack)
    slack.inject("chat.postMessage", faults.api_error("invalid_blocks"), times=3)
    daemon.start_again()
    poll(lambda: len(slack.roots()) == 5, 40, message="three new ones in the channel")
    resolved(daemon, sessions, "over")
    settled(daemon)
    assert oncall.digests(slack) == []
