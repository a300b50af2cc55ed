"""SIGHUP and the sinks: nobody is told twice, nothing is lost, and nothing stays due that nobody will send."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.store import Store
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.polling import poll
from tests.support.reloading import NOT_VALID, Config, watching
from tests.support.servers import Database

RULE = "constraint_not_valid"
ENVIRONMENT = {"NO_PROXY": "127.0.0.1"}


@pytest.fixture
def other_slack(slack: FakeSlack) -> Iterator[FakeSlack]:
    del slack  # it is the one that lets connections to this machine pass by proxies
    with FakeSlack() as running:
        yield running


def section(slack: FakeSlack, token: Path, more: str = "") -> str:
    token.write_text(slack.token, encoding="utf-8")
    return f'kind = "slack"\ntoken_file = "{token}"\nchannel = "#db-oncall"\nbase_url = "{slack.url}"\n{more}'


@pytest.fixture
def config(database: Database, slack: FakeSlack, tmp_path: Path) -> Config:
    """One target with an incident that stands, and one sink."""
    for statement in filter(str.strip, NOT_VALID.split(";")):
        database.execute(statement)
    return Config(
        targets={"shop": watching(database)}, sinks={"oncall": section(slack, tmp_path / "oncall-token")}
    )


@pytest.fixture
def daemon(config: Config, slack: FakeSlack, tmp_path: Path) -> Iterator[RunningDaemon]:
    with running_daemon(tmp_path, config.text(), ENVIRONMENT) as running:
        poll(lambda: len(slack.roots()) == 1, 20, message="the incident is told")
        yield running


def mended(daemon: RunningDaemon, database: Database) -> None:
    database.execute("ALTER TABLE orders DROP CONSTRAINT fk")
    daemon.wait_incident(RULE, "resolved")


def told_resolved(slack: FakeSlack) -> bool:
    """The one message says so, and its thread as well."""
    texts = [as_text(root) for root in slack.roots()]
    return len(texts) == 1 and "Resolved after" in texts[0]


def test_a_sink_that_did_not_change_is_not_touched(
    daemon: RunningDaemon, config: Config, database: Database, slack: FakeSlack
) -> None:
    checks = len(slack.calls_of("auth.test"))
    config.not_valid = 'for = "1ms"'
    daemon.reload(config.text())
    mended(daemon, database)
    poll(lambda: told_resolved(slack), 20)
    assert len(slack.calls_of("auth.test")) == checks
    poll(lambda: len(slack.messages()) == 2, 20)


def test_a_new_sink_is_told_of_what_fires_and_the_old_one_hears_nothing_of_it(
    daemon: RunningDaemon,
    config: Config,
    database: Database,
    slack: FakeSlack,
    other_slack: FakeSlack,
    tmp_path: Path,
) -> None:
    config.sinks["second"] = section(other_slack, tmp_path / "second-token")
    assert daemon.reload(config.text())["sinks_added"] == ["second"]
    poll(lambda: len(other_slack.roots()) == 1, 20, message="the new sink is told")
    mended(daemon, database)
    poll(lambda: told_resolved(slack) and told_resolved(other_slack), 20)
    poll(lambda: len(slack.messages()) == len(other_slack.messages()) == 2, 20)


def test_routes_hold_from_the_next_transition_on(
    daemon: RunningDaemon,
    config: Config,
    database: Database,
    slack: FakeSlack,
    other_slack: FakeSlack,
    tmp_path: Path,
) -> None:
    """Labels of the target decide, those of today; who was told of the incident hears its end."""
    config.sinks["second"] = section(other_slack, tmp_path / "second-token")
    config.more = """
[[routes]]
match = { env = "prod" }
sinks = ["second"]
[[routes]]
sinks = ["oncall"]
"""
    said = daemon.reload(config.text())
    assert said["settings_changed"] == ["routes"]
    poll(lambda: other_slack.calls_of("auth.test"), 20)
    assert not other_slack.messages()
    config.targets["shop"] = watching(database, 'labels = { env = "prod" }\n')
    daemon.reload(config.text())
    poll(lambda: len(other_slack.roots()) == 1, 20, message="the route of the label leads there")
    mended(daemon, database)
    poll(lambda: told_resolved(slack) and told_resolved(other_slack), 20)


def test_a_rotated_token_is_read_at_once_though_the_section_is_the_same(
    daemon: RunningDaemon, config: Config, database: Database, slack: FakeSlack, tmp_path: Path
) -> None:
    """The new worker begins by looking whether the new token will do."""
    checks = len(slack.calls_of("auth.test"))
    slack.token = "xoxb-rotated"
    (tmp_path / "oncall-token").write_text("xoxb-rotated", encoding="utf-8")
    daemon.reload(config.text())
    assert [said["sink"] for said in daemon.events("sink_replaced")] == ["oncall"]
    poll(lambda: len(slack.calls_of("auth.test")) > checks, 20)
    mended(daemon, database)
    poll(lambda: told_resolved(slack), 20)
    assert not daemon.events("sink_misconfigured")


def test_a_call_that_hangs_is_finished_before_the_changed_sink_goes_on(
    daemon: RunningDaemon, config: Config, database: Database, slack: FakeSlack, tmp_path: Path
) -> None:
    """Two reloads while a message is under way that arrives and is never answered: there is one of it."""
    database.execute("CREATE TABLE more (id int PRIMARY KEY, customer int)")
    slack.inject("chat.postMessage", faults.hang(accepted=True))
    database.execute(
        "ALTER TABLE more ADD CONSTRAINT fk2 FOREIGN KEY (customer) REFERENCES customers NOT VALID"
    )
    poll(lambda: len(slack.roots()) == 2, 20, message="the second message is under way")
    for timeout in ("5s", "6s"):
        config.sinks["oncall"] = section(slack, tmp_path / "oncall-token", f'timeout = "{timeout}"\n')
        assert daemon.reload(config.text())["sinks_changed"] == ["oncall"]
    database.execute("ALTER TABLE more DROP CONSTRAINT fk2")
    poll(lambda: [as_text(root).count("Resolved after") for root in slack.roots()] == [0, 1], 40)
    assert not any("duplicate" in as_text(message) for message in slack.messages())


def test_the_end_of_a_removed_targets_incident_is_told(
    daemon: RunningDaemon, config: Config, slack: FakeSlack
) -> None:
    config.targets = {}
    daemon.reload(config.text())
    poll(lambda: told_resolved(slack) and len(slack.messages()) == 2, 20)
    assert "no longer watched" in as_text(slack.roots()[0])


def test_what_a_removed_sink_was_not_told_is_dropped_and_put_right_when_it_returns(
    daemon: RunningDaemon,
    config: Config,
    database: Database,
    slack: FakeSlack,
    other_slack: FakeSlack,
    tmp_path: Path,
) -> None:
    """Nothing stays due; the message that people there have seen is not left saying what is no longer so."""
    second = section(other_slack, tmp_path / "second-token")
    oncall, config.sinks = config.sinks["oncall"], {"second": second}
    said = daemon.reload(config.text())
    assert (said["sinks_added"], said["sinks_removed"]) == (["second"], ["oncall"])
    poll(lambda: daemon.events("sink_left"), 20)
    poll(lambda: len(other_slack.roots()) == 1, 20)
    mended(daemon, database)
    poll(lambda: told_resolved(other_slack), 20)
    assert 'sink="oncall"' not in daemon.get("/metrics")[1]
    assert [as_text(root).count("Resolved after") for root in slack.roots()] == [0]
    config.sinks = {"second": second, "oncall": oncall}
    daemon.reload(config.text())
    poll(lambda: told_resolved(slack), 20)
    poll(lambda: len(slack.messages()) == len(other_slack.messages()) == 2, 20)


def test_what_a_sink_was_not_told_is_dropped_also_at_a_start_without_it(
    config: Config, slack: FakeSlack, tmp_path: Path
) -> None:
    slack.inject_always("chat.postMessage", faults.http_error(503))
    with running_daemon(tmp_path, config.text(), ENVIRONMENT) as daemon:
        daemon.wait_incident(RULE, "firing")
        poll(lambda: daemon.metric('pgvigil_outbox_pending{sink="oncall"}') == 1, 20)
        daemon.stop()
    config.sinks = {"screen": 'kind = "console"\nstream = "stderr"\n'}
    with running_daemon(tmp_path, config.text(), ENVIRONMENT) as daemon:
        [left] = poll(lambda: daemon.events("sink_left"), 20)
        assert (left["sink"], left["incidents_not_told"]) == ("oncall", 1)
        daemon.stop()
    with closing(Store.open(f"sqlite:///{tmp_path}/pgvigil.db")) as store:
        assert store.deliveries.sinks() == {"screen"}
