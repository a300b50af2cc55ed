"""SIGHUP: what changed follows at once, and what did not change does not notice."""

import json
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.polling import poll
from tests.support.reloading import NOT_VALID, Config, ours, watching
from tests.support.servers import Database, Server, fresh_database

RULE = "constraint_not_valid"
NOWHERE = 'dsn = "host=127.0.0.1 port=1 dbname=shop"\n'


@pytest.fixture
def other_database(server: Server) -> Iterator[Database]:
    with fresh_database(server) as fresh:
        yield fresh


@pytest.fixture
def config(database: Database) -> Config:
    """One target with an incident that stands."""
    database.execute("CREATE EXTENSION pg_stat_statements")
    for statement in filter(str.strip, NOT_VALID.split(";")):
        database.execute(statement)
    return Config(targets={"shop": watching(database)})


@pytest.fixture
def daemon(config: Config, tmp_path: Path) -> Iterator[RunningDaemon]:
    with running_daemon(tmp_path, config.text()) as running:
        running.wait_incident(RULE, "firing")
        yield running


def persistent(database: Database) -> tuple[int, str]:
    """The connection of the server lane: the oldest that stays."""
    found: dict[int, str] = poll(lambda: dict(ours(database)), 20)
    return min(found.items(), key=lambda one: one[1])


def read_at(daemon: RunningDaemon, collector: str, target: str = "shop") -> str:
    """The stamp of its last reading; "" before the first."""
    found = daemon.collector(target, collector)
    return "" if found is None else found["last_success_at"] or ""


def _read_since(daemon: RunningDaemon, collector: str, before: str) -> bool:
    return read_at(daemon, collector) > before


def read_twice(daemon: RunningDaemon, collector: str) -> None:
    """Until readings come that began after now."""
    for _ in range(2):
        before = read_at(daemon, collector)
        poll(partial(_read_since, daemon, collector, before), 20)


def calls(daemon: RunningDaemon) -> float:
    """Counted since the daemon follows the statements of the target."""
    return daemon.metric('pgvigil_query_calls_total{database="') or 0.0


def same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return all(before[key] == after[key] for key in ("id", "state", "since", "fired_at"))


def test_who_did_not_change_keeps_connection_baselines_counters_and_incidents(
    daemon: RunningDaemon, config: Config, database: Database, other_database: Database
) -> None:
    poll(lambda: calls(daemon) > 0, 20)
    [before] = daemon.incidents(RULE)
    connection, counted = persistent(database), calls(daemon)
    config.targets["new"] = watching(other_database)
    said = daemon.reload(config.text())
    assert said["targets_added"] == ["new"]
    assert not {"targets_changed", "rules_changed", "sinks_changed"} & said.keys()
    poll(lambda: daemon.target("new")["up"], 20)
    read_twice(daemon, "activity")
    assert dict(ours(database)).items() >= {connection}
    assert calls(daemon) >= counted
    [after] = daemon.incidents(RULE)
    assert same(before, after)
    assert daemon.metric("pgvigil_config_last_reload_successful") == 1


def test_a_target_that_is_removed_leaves_nothing_behind(
    daemon: RunningDaemon, config: Config, database: Database
) -> None:
    """Connections, page, metrics; its incidents end and say why."""
    poll(lambda: ours(database), 20)
    config.targets = {"elsewhere": NOWHERE}
    said = daemon.reload(config.text())
    assert (said["targets_added"], said["targets_removed"]) == (["elsewhere"], ["shop"])
    resolved = daemon.wait_incident(RULE, "resolved")
    assert resolved["reason"] == "the target is no longer watched"
    poll(lambda: not ours(database), 20, message="our connections are closed")
    assert 'target="shop"' not in daemon.get("/metrics")[1]
    assert "shop" not in [one["name"] for one in json.loads(daemon.get("/api/v1/targets")[1])["targets"]]
    poll(lambda: daemon.get("/readyz")[0] == 200, 20)


def test_a_target_that_is_switched_off_and_on_opens_its_incident_again(
    daemon: RunningDaemon, config: Config, database: Database
) -> None:
    [before] = daemon.incidents(RULE)
    config.targets["shop"] = watching(database, "enabled = false\n")
    assert daemon.reload(config.text())["targets_removed"] == ["shop"]
    daemon.wait_incident(RULE, "resolved")
    config.targets["shop"] = watching(database)
    assert daemon.reload(config.text())["targets_added"] == ["shop"]
    again = daemon.wait_incident(RULE, "firing")
    assert again["id"] == before["id"]


def test_another_way_to_the_server_replaces_the_connection_and_not_the_incidents(
    daemon: RunningDaemon, config: Config, database: Database
) -> None:
    [before] = daemon.incidents(RULE)
    connection = persistent(database)
    config.targets["shop"] = watching(database, options="-c geqo=off")
    assert daemon.reload(config.text())["targets_changed"] == ["shop"]
    poll(lambda: connection[0] not in ours(database) and ours(database), 20, message="another connection")
    read_twice(daemon, "activity")
    [after] = daemon.incidents(RULE)
    assert same(before, after)


def test_databases_and_labels_change_on_the_same_connection(
    daemon: RunningDaemon, config: Config, database: Database, other_database: Database
) -> None:
    connection = persistent(database)
    both = f'["{database.name}", "{other_database.name}"]'
    config.targets["shop"] = watching(database, 'labels = { env = "prod" }\n').replace(
        f'["{database.name}"]', both
    )
    daemon.reload(config.text())
    poll(lambda: daemon.target("shop")["databases"] == sorted([database.name, other_database.name]), 20)
    poll(lambda: daemon.collector("shop", "constraints", other_database.name), 20)
    assert daemon.target("shop")["labels"] == {"env": "prod"}
    config.targets["shop"] = watching(database).replace(f'["{database.name}"]', f'["{other_database.name}"]')
    daemon.reload(config.text())
    resolved = daemon.wait_incident(RULE, "resolved")
    assert resolved["reason"] == "the database was dropped or is no longer watched"
    assert dict(ours(database)).items() >= {connection}


def test_rules_follow_at_the_next_reading(daemon: RunningDaemon, config: Config, database: Database) -> None:
    """Severity and switch; an instance of the threshold rule begins; the one that is switched off ends."""
    connection = persistent(database)
    config.not_valid = 'for = "0s"\nseverity = "critical"'
    assert daemon.reload(config.text())["rules_changed"] == [RULE]
    poll(lambda: daemon.incidents(RULE)[0]["severity"] == "critical", 20)
    config.not_valid = "enabled = false"
    config.more = """
[rules.threshold.instances.sessions]
collector = "activity"
column = "sessions"
warning = 0.5
"""
    said = daemon.reload(config.text())
    assert said["rules_changed"] == [RULE, "threshold.sessions"]
    resolved = daemon.wait_incident(RULE, "resolved")
    assert resolved["reason"] == "the rule was removed or switched off"
    daemon.wait_incident("threshold.sessions", "firing")
    config.more = ""
    daemon.reload(config.text())
    daemon.wait_incident("threshold.sessions", "resolved")
    assert dict(ours(database)).items() >= {connection}


def test_a_pending_incident_has_waited_as_long_as_before(
    daemon: RunningDaemon, config: Config, tmp_path: Path
) -> None:
    """A shorter `for` counts what was already watched."""
    config.not_valid = "enabled = false"
    daemon.reload(config.text())
    daemon.wait_incident(RULE, "resolved")
    config.not_valid = 'for = "1h"'
    daemon.reload(config.text())
    pending = daemon.wait_incident(RULE, "pending")
    config.not_valid = 'for = "1ms"'
    daemon.reload(config.text())
    fired = daemon.wait_incident(RULE, "firing")
    assert (fired["id"], fired["since"]) == (pending["id"], pending["since"])


def test_collectors_are_planned_anew_without_a_new_connection(
    daemon: RunningDaemon, config: Config, database: Database
) -> None:
    connection = persistent(database)
    config.constraints = 'interval = "1h"'
    config.more = "[collectors.lock_waits]\nenabled = false\n"
    poll(lambda: daemon.collector("shop", "lock_waits"), 20)
    poll(lambda: daemon.metric("pgvigil_blocked_sessions") is not None, 20)
    said = daemon.reload(config.text())
    assert said["collectors_changed"] == ["constraints", "lock_waits"]
    assert daemon.collector("shop", "lock_waits") is None
    assert daemon.metric("pgvigil_blocked_sessions") is None
    constraints = daemon.collector("shop", "constraints", database.name)
    assert constraints is not None
    assert constraints["interval_s"] == 3600
    config.more = ""
    config.constraints = 'interval = "1s"'
    daemon.reload(config.text())
    poll(lambda: daemon.metric("pgvigil_blocked_sessions") is not None, 20)
    read_twice(daemon, "activity")
    assert dict(ours(database)).items() >= {connection}
    assert not daemon.incidents("collector_stale")


def test_a_server_that_froze_in_a_read_is_taken_out_at_once_and_put_back(
    daemon: RunningDaemon, config: Config, own_server: ScratchServer
) -> None:
    """The worker that waits for it leaves by itself; nothing counts as stuck, and no connection stays."""
    stays = dict(config.targets)
    frozen = f"dsn = {json.dumps(own_server.dsn())}\n"
    config.targets = stays | {"frozen": frozen}
    daemon.reload(config.text())
    poll(lambda: daemon.target("frozen")["up"], 20)
    own_server.sigstop()
    try:
        read_once = read_at(daemon, "activity", "frozen")
        read_twice(daemon, "activity")
        assert read_at(daemon, "activity", "frozen") == read_once, "a worker waits for it"
        config.targets = stays
        daemon.reload(config.text())
        assert [one["name"] for one in daemon.targets()] == ["shop"]
        assert daemon.get("/healthz") == (200, "ok\n")
        read_twice(daemon, "activity")
    finally:
        own_server.sigcont()
    with closing(psycopg.connect(own_server.dsn(), autocommit=True)) as admin:
        left = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgvigil'"
        poll(lambda: admin.execute(left).fetchone() == (True,), 30, message="our connections are closed")
    config.targets = stays | {"frozen": frozen}
    daemon.reload(config.text())
    poll(lambda: daemon.target("frozen")["up"], 20)
    assert not daemon.incidents("target_down", "firing")
