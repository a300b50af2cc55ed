"""What a daemon at work tells of itself: to a Pushgateway, and in its log."""

from pathlib import Path

import pytest

from daemon import reporting, target
from tests.support.daemons import daemon_in_process
from tests.support.gateway import running_gateway
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.activity]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"

[sinks.terminal]
kind = "console"
stream = "stderr"
"""


def test_the_metrics_of_a_running_daemon_are_pushed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same text as /metrics, again and again."""
    monkeypatch.setattr(reporting, "PUSH_S", 0.5)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_gateway() as gateway:
        push = f'[metrics]\npush_url = "http://127.0.0.1:{gateway.port}"\n'
        with daemon_in_process(tmp_path, CONFIG.format(dsn=database.dsn()) + push):
            poll(
                lambda: any(b'pgvigil_target_up{target="shop"} 1' in body for _, _, body in gateway.received),
                20,
                message="a push that says that the target is up",
            )


def test_a_daemon_at_work_gives_signs_of_life(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once after the start, to the address in the file; the metric says when one was taken last."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_gateway() as gateway:
        head = f'heartbeat_url = "http://127.0.0.1:{gateway.port}/alive"\n'
        with daemon_in_process(tmp_path, head + CONFIG.format(dsn=database.dsn())) as daemon:
            poll(lambda: gateway.received, 20, message="a sign of life")
            assert poll(lambda: daemon.metric("pgvigil_heartbeat_timestamp_seconds"), 10) is not None
        assert gateway.received[0][0] == "/alive"


def test_the_log_has_a_line_for_each_cycle_minute_transition_and_delivery(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cycles at debug, the others at info."""
    monkeypatch.setattr(target, "SUMMARY_S", 1.0)
    with daemon_in_process(tmp_path, CONFIG.format(dsn=database.dsn())) as daemon:
        with idle_in_transaction(database.dsn(), "SELECT 1"):
            daemon.wait_incident("idle_in_transaction", "firing")
        daemon.wait_incident("idle_in_transaction", "resolved")
        poll(lambda: len(daemon.events("delivered")) >= 2, 20, message="fired and resolved are delivered")
        minutes = poll(lambda: [line for line in daemon.events("target") if line["up"]], 20)
        cycles = [line for line in daemon.events("read") if line["collector"] == "activity"]
        changes = daemon.events("incident")
    assert [line["change"] for line in changes] == ["fired", "resolved"]
    assert {line["log_level"] for line in (*changes, *daemon.events("delivered"), *minutes)} == {"info"}
    assert {line["log_level"] for line in cycles} == {"debug"}
    assert {"target", "collector", "database", "ms"} <= cycles[0].keys()
    assert {"target", "reads", "errors", "missed_ticks", "incidents", "not_covered"} <= minutes[0].keys()
