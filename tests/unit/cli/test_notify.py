"""`pgvigil notify test`: a message that nobody can take for real, and what is wrong when it does not arrive."""

import json
from pathlib import Path

import pytest

from daemon.cli import codes, main
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import TOKEN, FakeSlack
from daemon.demo.fake_slack_text import as_text

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, slack: FakeSlack) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "pgvigil.toml").write_text(
        '[sinks.here]\nkind = "console"\n'
        f'[sinks.oncall]\nkind = "slack"\ntoken_file = "token"\nchannel = "#db-oncall"\nbase_url = "{slack.url}"\n'
    )
    return tmp_path / "pgvigil.toml"


def run(config: Path, *arguments: str) -> int:
    return main(["notify", "test", "-c", str(config), *arguments])


def test_slack_gets_one_message_that_says_test_and_is_resolved(
    config: Path, slack: FakeSlack, capsys: Capture
) -> None:
    assert run(config, "--sink", "oncall") == codes.OK
    assert capsys.readouterr().out == "oncall (slack): sent, and resolved\n"
    [root] = slack.roots()
    text = as_text(root)
    assert "TEST" in text
    assert "Resolved" in text
    assert [call.method for call in slack.calls_of("chat.update")] == ["chat.update"]


def test_without_a_name_every_sink_is_tried(config: Path, slack: FakeSlack, capsys: Capture) -> None:
    assert run(config) == codes.OK
    out = capsys.readouterr().out
    assert "TEST: nothing is wrong" in out
    assert "here (console): sent, and resolved" in out
    assert len(slack.roots()) == 1


def test_a_revoked_token_is_a_matter_of_set_up(config: Path, slack: FakeSlack, capsys: Capture) -> None:
    (config.parent / "token").write_text("xoxb-1111-not-the-one")
    assert run(config, "--sink", "oncall", "--json") == codes.SETUP
    (trial,) = json.loads(capsys.readouterr().out)["sinks"]
    assert trial["error"]
    assert trial["problems"]
    assert "xoxb" not in json.dumps(trial)
    assert slack.roots() == ()


def test_an_unknown_sink_names_the_nearest(config: Path, capsys: Capture) -> None:
    assert run(config, "--sink", "oncal") == codes.SETUP
    assert 'did you mean "oncall"?' in capsys.readouterr().err


def test_no_sink_at_all_is_a_matter_of_set_up(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty.toml").write_text("")
    assert run(tmp_path / "empty.toml") == codes.SETUP
    assert "no sink is configured" in capsys.readouterr().err


def test_an_outage_could_not_tell(config: Path, slack: FakeSlack, capsys: Capture) -> None:
    slack.inject("chat.postMessage", faults.http_error(503))
    assert run(config, "--sink", "oncall") == codes.UNKNOWN
    assert "oncall (slack): failed" in capsys.readouterr().err
