from pathlib import Path

import pytest

from alerts.sinks.slack import SINK, SlackParams
from alerts.sinks.slack.sink import SlackSink
from alerts.sinks.slack.webhook import WebhookSink
from daemon.demo.fake_slack import TOKEN, FakeSlack
from tests.unit.sinks.sending import built


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def sink(slack: FakeSlack, token_file: Path) -> SlackSink:
    return built(slack, token_file)


@pytest.fixture
def webhook(slack: FakeSlack, tmp_path: Path) -> WebhookSink:
    path = tmp_path / "webhook"
    path.write_text(slack.webhook_url)
    made = SINK.build("oncall", SlackParams(webhook_url_file=path, timeout="1s"), "")
    assert isinstance(made, WebhookSink)
    return made
