"""Many incidents within seconds: one message that is edited, and afterwards what goes on, each by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.idlers import Sessions
from tests.support.polling import poll
from tests.support.servers import Database

NAMES = [f"worker {number}" for number in range(14)]
SOON = 'storm_at = 10\nstorm_quiet = "5s"\n'


@pytest.fixture
def config(database: Database, slack: FakeSlack, tmp_path: Path) -> str:
    return SOON + oncall.idle_sessions(database) + oncall.sink(slack, tmp_path)


@pytest.fixture
def sessions(database: Database) -> Iterator[Sessions]:
    with Sessions(database) as staged:
        yield staged


def told(slack: FakeSlack) -> str:
    """The digest as people read it; empty while there is none."""
    found = oncall.digests(slack)
    return as_text(found[0]) if found else ""


def is_over(daemon: RunningDaemon, slack: FakeSlack) -> None:
    poll(lambda: "Alert storm over" in told(slack), 60, message="the storm is over")
    poll(lambda: daemon.metric('pgvigil_outbox_pending{sink="oncall"}') == 0, 30, message="all is told")


def judge(slack: FakeSlack, sessions: Sessions, *, still: list[str]) -> None:
    """One digest, which says how it ended; in its thread what goes on; little beside it in the channel."""
    (digest,) = oncall.digests(slack)
    text = as_text(digest)
    assert f"{len(still)} still firing" in text
    alone = [root for root in slack.roots() if root is not digest]
    assert len(alone) < 10, "more than began before it was a storm"
    everywhere = "\n".join(map(as_text, [*alone, *slack.replies(digest["ts"])]))
    for name in still:
        assert sessions.subject(name) in everywhere


def test_many_at_once_are_one_message_and_what_goes_on_has_its_own_at_the_end(
    config: str, slack: FakeSlack, sessions: Sessions, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, config) as daemon:
        sessions.begin(*NAMES)
        poll(lambda: "Alert storm: " in told(slack), 30, message="they are told together")
        for name in NAMES[3:]:
            sessions.end(name)
        is_over(daemon, slack)
        judge(slack, sessions, still=NAMES[:3])


def test_a_daemon_that_dies_in_the_middle_goes_on_with_the_same_message(
    config: str, slack: FakeSlack, sessions: Sessions, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, config) as daemon:
        sessions.begin(*NAMES)
        poll(lambda: "Alert storm: " in told(slack), 30, message="they are told together")
        daemon.kill9()
        for name in NAMES[2:]:
            sessions.end(name)
        daemon.start_again()
        is_over(daemon, slack)
        judge(slack, sessions, still=NAMES[:2])
