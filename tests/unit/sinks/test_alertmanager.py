"""Alertmanager: alerts that live while they are refreshed, and end when the incident does."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from pydantic import ValidationError

from alerts.sinks.alertmanager import SINK, labels_of
from daemon.cli.notify import send_test
from daemon.clock import system_now
from pgvigil.model.delivery import Told
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from tests.support.polling import poll
from tests.support.receiver import Receiver, receiving
from tests.support.reporting import not_run
from tests.unit.sinks.channels import KEY, PUBLIC_URL, USUAL, last, made, perform, to_alertmanager, told
from tests.unit.sinks.samples import act, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST

CONFIG = """
route: {{receiver: us, group_wait: 0s, group_interval: 1s}}
receivers: [{{name: us, webhook_configs: [{{url: '{url}', send_resolved: true}}]}}]
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(USUAL["alertmanager"]) as server:
        yield server


def recent(incident: Incident, **changes: Any) -> Incident:
    """As if it had begun a minute ago."""
    now = system_now().utc
    stamps = {"pending_since": now - timedelta(minutes=1), "fired_at": now - timedelta(minutes=1)}
    return pile_up(**(stamps | {"evaluated_at": now, "labels": incident.labels} | changes))


def test_an_incident_is_an_alert_that_lives_for_some_minutes(receiver: Receiver, tmp_path: Path) -> None:
    before = system_now().utc
    perform(to_alertmanager(receiver.url, tmp_path), act(), pile_up())
    ((alert,),) = told(receiver)
    assert last(receiver).path == "/api/v2/alerts"
    assert last(receiver).headers["authorization"] == KEY
    assert alert["labels"] == {
        "alertname": "blocking_chain",
        "job": "pgvigil",
        "severity": "critical",
        "incident": "INC-412",
        "target": "orders-prod",
        "database": "shop",
        "env": "prod",
        "team": "payments",
    }
    lives = datetime.fromisoformat(alert["endsAt"]) - before
    assert timedelta(minutes=5) <= lives < timedelta(minutes=6)
    assert alert["startsAt"] == pile_up().fired_at.isoformat()
    assert alert["generatorURL"] == f"{PUBLIC_URL}/incidents/INC-412"
    assert "8123 idle in transaction" in alert["annotations"]["description"]


def test_another_severity_is_another_alert_and_ends_the_one_before(
    receiver: Receiver, tmp_path: Path
) -> None:
    sink = to_alertmanager(receiver.url, tmp_path)
    row = perform(sink, act(), pile_up(severity=Level.WARNING))
    perform(sink, act(EDIT), pile_up(), row)
    now, then = told(receiver)[-1]
    assert (now["labels"]["severity"], then["labels"]["severity"]) == ("critical", "warning")
    assert datetime.fromisoformat(then["endsAt"]) <= system_now().utc
    assert datetime.fromisoformat(now["endsAt"]) > system_now().utc


def test_the_end_is_told_with_when_it_was(receiver: Receiver, tmp_path: Path) -> None:
    sink = to_alertmanager(receiver.url, tmp_path)
    row = perform(sink, act(), pile_up())
    perform(sink, act(EDIT), resolved(), row)
    ((alert,),) = told(receiver)[1:]
    assert datetime.fromisoformat(alert["endsAt"]) == resolved().resolved_at


def test_marks_are_annotations_because_a_label_would_be_another_alert(
    receiver: Receiver, tmp_path: Path
) -> None:
    sink = to_alertmanager(receiver.url, tmp_path)
    perform(sink, act(EDIT), pile_up(acknowledged_by="ana", silenced_by="SIL-3"))
    ((alert,),) = told(receiver)
    assert alert["annotations"]["acknowledged_by"] == "ana"
    assert alert["labels"] == labels_of(pile_up(), "critical")


def test_names_of_labels_are_what_alertmanager_takes_and_never_ours() -> None:
    hostile = pile_up(labels=(("a-b.c", "1"), ("9lives", "2"), ("severity", "none"), ("empty", "")))
    found = labels_of(hostile, "critical")
    assert (found["a_b_c"], found["_9lives"], found["severity"]) == ("1", "2", "critical")
    assert "empty" not in found


def test_an_alert_that_would_end_between_two_refreshes_is_refused() -> None:
    with pytest.raises(ValidationError):
        SINK.params(url="http://127.0.0.1:9093", lives_for="1m")


# --- a real one -------------------------------------------------------------------------------------------


@pytest.fixture
def real(receiver: Receiver, tmp_path: Path) -> Iterator[str]:
    """The URL of an Alertmanager that tells the receiver."""
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if binary is None:
        not_run("needs alertmanager", mendable=True)
    (tmp_path / "config.yml").write_text(CONFIG.format(url=receiver.url))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        f"--config.file={tmp_path / 'config.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([binary, *options], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            poll(lambda: active(url) == [], 20, message="it answers")
            yield url
        finally:
            process.terminate()
            process.wait()


def active(url: str) -> list[dict[str, str]] | None:
    """The labels of the alerts that are active; None while it cannot be asked."""
    try:
        with urlopen(f"{url}/api/v2/alerts?active=true", timeout=5) as answer:
            return [alert["labels"] for alert in json.load(answer)]
    except URLError:
        return None


def test_a_real_alertmanager_takes_the_alert_its_severity_and_its_end(
    real: str, receiver: Receiver, tmp_path: Path
) -> None:
    sink = made(SINK, url=real, timeout="5s")
    row = perform(sink, act(), recent(pile_up(), severity=Level.WARNING))
    assert [each["severity"] for each in active(real) or ()] == ["warning"]
    worse = recent(pile_up())
    row = perform(sink, act(EDIT), worse, row)
    row = perform(sink, act(POST, Told.WORSE), worse, row)
    poll(lambda: [each["severity"] for each in active(real) or ()] == ["critical"], 20)
    poll(lambda: receiver.asked, 20, message="it tells whom it is to tell")
    over = recent(pile_up(), state=State.RESOLVED, resolved_at=system_now().utc, reason="it is over")
    perform(sink, act(EDIT), over, row)
    poll(lambda: active(real) == [], 20)
    poll(lambda: told(receiver)[-1]["status"] == "resolved", 20, message="it tells the end")


def test_the_test_message_ends(real: str) -> None:
    send_test("oncall", made(SINK, url=real, timeout="5s"), system_now())
    poll(lambda: active(real) == [], 20)
