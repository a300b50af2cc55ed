"""SIGHUP with a file that cannot be used changes nothing, and says so until it is mended."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.network import silent_listener
from tests.support.polling import poll
from tests.support.reloading import Config, ours, watching
from tests.support.servers import Database

SCREEN = 'kind = "console"\nstream = "stderr"\n'
NOWHERE = 'dsn = "host=127.0.0.1 port=1 dbname=shop"\n'


@pytest.fixture
def config(database: Database) -> Config:
    return Config(targets={"shop": watching(database)}, sinks={"screen": SCREEN})


@pytest.fixture
def daemon(config: Config, tmp_path: Path) -> Iterator[RunningDaemon]:
    with running_daemon(tmp_path, config.text()) as running:
        poll(lambda: running.target("shop")["up"], 20)
        yield running


def problems(daemon: RunningDaemon) -> float | None:
    return daemon.metric("pgvigil_config_last_reload_successful")


def syntax(config: Config) -> None:
    config.more = "[[targets"


def unknown_key(config: Config) -> None:
    config.targets["shop"] += 'colour = "red"\n'


def unknown_section(config: Config) -> None:
    config.more = "[collectors.availabilty]\n"


def missing_secret(config: Config) -> None:
    config.sinks["oncall"] = 'kind = "slack"\ntoken_file = "/nowhere/token"\nchannel = "#db"\n'


def secret_that_is_not_text(config: Config) -> None:
    config.sinks["oncall"] = 'kind = "slack"\ntoken_file = "/proc/self/exe"\nchannel = "#db"\n'


def api_token_that_is_not_text(config: Config) -> None:
    config.daemon = 'api_token_file = "/proc/self/exe"\n'


FAULTS: list[tuple[Callable[[Config], None], str]] = [
    (syntax, "not valid TOML"),
    (unknown_key, "targets[0].colour: unknown key"),
    (unknown_section, "collectors.availabilty: unknown collector"),
    (missing_secret, "sinks.oncall.token_file: cannot be read: No such file"),
    (secret_that_is_not_text, "cannot be read: not UTF-8"),
    (api_token_that_is_not_text, "api_token_file cannot be read: not UTF-8"),
]


@pytest.mark.parametrize(("spoil", "words"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_bad_file_is_refused_as_a_whole(
    daemon: RunningDaemon, config: Config, database: Database, spoil: Callable[[Config], None], words: str
) -> None:
    before = ours(database)
    good = config.text()
    config.targets["new"] = NOWHERE
    spoil(config)
    said = daemon.reload(config.text(), "config_refused")
    assert any(words in f"{error.get('key')}: {error['problem']}" for error in said["errors"]), said
    assert all(error["file"] == str(daemon.config) for error in said["errors"])
    assert problems(daemon) == 0
    assert [one["name"] for one in daemon.targets()] == ["shop"]
    assert ours(database).items() >= {min(before.items(), key=lambda one: one[1])}
    since = daemon.metric("pgvigil_config_last_reload_success_timestamp_seconds") or 0.0
    daemon.reload(good)
    assert problems(daemon) == 1
    assert (daemon.metric("pgvigil_config_last_reload_success_timestamp_seconds") or 0.0) > since


def test_a_file_that_is_included_counts_like_the_rest(
    daemon: RunningDaemon, config: Config, database: Database
) -> None:
    """It is where the targets are; a slip there is refused by its own name, and its mending is taken."""
    included = daemon.directory / "targets.d"
    included.mkdir()
    config.targets = {}
    text = (
        'include = ["targets.d/*.toml"]\n'
        + daemon.config.read_text(encoding="utf-8").partition("[[targets]]")[0]
    )
    target = included / "shop.toml"
    good = f'[[targets]]\nname = "shop"\n{watching(database)}'
    for section, event in ((good + "dns = 1\n", "config_refused"), (good, "config_reloaded")):
        target.write_text(section, encoding="utf-8")
        daemon.config.write_text(text, encoding="utf-8")
        said = daemon.reload(None, event)
        assert [one["name"] for one in daemon.targets()] == ["shop"]
        if event == "config_refused":
            assert [error["file"] for error in said["errors"]] == [str(target)]


def test_what_needs_a_restart_is_said_until_the_file_goes_back(daemon: RunningDaemon, config: Config) -> None:
    """The rest of the file is taken all the same."""
    config.daemon = "workers = 3"
    config.targets["new"] = NOWHERE
    assert daemon.reload(config.text())["targets_added"] == ["new"]
    [said] = daemon.events("restart_needed")
    assert said["keys"] == ["daemon.workers"]
    assert "daemon.workers is 16 and the file says 3" in said["sentence"]
    daemon.reload(config.text())
    assert len(daemon.events("restart_needed")) == 1, "said once"
    config.daemon = ""
    daemon.reload(config.text())
    config.daemon = "workers = 3"
    daemon.reload(config.text())
    assert len(daemon.events("restart_needed")) == 2, "it was mended between"


def test_the_level_of_the_log_and_the_token_change_at_once(
    daemon: RunningDaemon, config: Config, tmp_path: Path
) -> None:
    token = tmp_path / "api-token"
    token.write_text("first", encoding="utf-8")
    config.daemon = f'log_level = "debug"\napi_token_file = "{token}"'
    daemon.reload(config.text())
    poll(lambda: daemon.events("read"), 20, message="lines of level debug")
    assert daemon.get("/api/v1/targets")[0] == 401
    daemon.token = "first"
    assert daemon.get("/api/v1/targets")[0] == 200
    token.write_text("second", encoding="utf-8")
    daemon.reload(config.text())
    assert daemon.get("/api/v1/targets")[0] == 401


def test_a_silent_target_does_not_hold_the_reload_up(
    daemon: RunningDaemon, config: Config, database: Database
) -> None:
    """Added while silent, removed while a worker waits for it, and added again under the same name."""
    with silent_listener() as port:
        silent = f'dsn = "host=127.0.0.1 port={port} dbname=shop"\n'
        for targets in ({"mute": silent}, {}, {"mute": silent}, {"mute": NOWHERE}):
            config.targets = {"shop": watching(database), **targets}
            daemon.reload(config.text())
            assert [one["name"] for one in daemon.targets()] == sorted(config.targets)
        poll(lambda: daemon.incidents("target_down", "firing", "mute"), 30)
        config.targets = {"shop": watching(database)}
        daemon.reload(config.text())
        daemon.wait_incident("target_down", "resolved", target="mute")
        assert not daemon.incidents("target_down", target="shop")
        assert daemon.get("/healthz")[0] == 200


def test_many_signals_at_once_and_one_to_stop(daemon: RunningDaemon, config: Config) -> None:
    """The file as it is at the end is in force, and the end comes in order."""
    for number in range(5):
        config.targets[f"new{number}"] = NOWHERE
        daemon.write(config.text())
        daemon.process.send_signal(signal.SIGHUP)
    poll(lambda: [one["name"] for one in daemon.targets()] == sorted(config.targets), 20)
    config.targets = {"shop": config.targets["shop"]}
    daemon.write(config.text())
    hup = threading.Thread(target=daemon.process.send_signal, args=(signal.SIGHUP,))
    hup.start()
    code = daemon.stop()
    hup.join()
    assert code == 0
    daemon_log = daemon.log.read_text(encoding="utf-8")
    assert "Traceback" not in daemon_log
