"""The daemon with two sinks, one of which is broken: people hear that it is."""

import json
from functools import partial
from pathlib import Path

import pytest

from alerts.outbox.limits import OutboxLimits
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from tests.support import oncall
from tests.support.daemons import daemon_in_process
from tests.support.network import closed_port
from tests.support.polling import poll
from tests.support.receiver import Receiver, Say, receiving

DOWN = '[rules.target_down]\nfor = "0s"\n[[targets]]\nname = "shop"\ndsn = "host=127.0.0.1 port={} dbname=shop"\n'
OTHER = '[sinks.other]\nkind = "webhook"\nurl = "{}"\n'


def events(receiver: Receiver) -> list[tuple[str, str]]:
    told = [json.loads(asked.body) for asked in receiver.asked]
    return [(each["incident"]["rule"], each["event"]) for each in told]


def test_a_revoked_token_is_told_through_the_other_sink_and_never_to_the_broken_one(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "daemon.sinks.OutboxLimits",
        partial(OutboxLimits, misconfigured_first_s=1.0, misconfigured_most_s=1.0),
    )
    slack.inject_always("chat.postMessage", faults.api_error("token_revoked"))
    with receiving(Say(204, b"")) as other:
        config = DOWN.format(closed_port()) + oncall.sink(slack, tmp_path) + OTHER.format(other.url)
        with daemon_in_process(tmp_path, config) as daemon:
            poll(lambda: ("sink_failing", "fired") in events(other), 20, message="the other one is told")
            assert daemon.wait_incident("sink_failing", "firing")["target"] == "(pgvigil)"
            assert "takes no messages" in daemon.get("/")[1]
            assert 'pgvigil_sink_failing{sink="oncall"} 1.0' in daemon.get("/metrics")[1]
            (broken,) = daemon.incidents("sink_failing")
            assert "no longer watched" not in daemon.get(f"/incidents/{broken['id']}")[1]
            slack.clear("chat.postMessage")
            poll(lambda: ("sink_failing", "resolved") in events(other), 60, message="and hears the end")
        assert len(slack.roots()) == 1, "what the broken one missed, and nothing of itself"
