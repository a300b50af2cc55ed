"""Opsgenie: who is called, and what is closed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cli.notify import send_test
from daemon.clock import system_now
from pgvigil.model.delivery import Told
from pgvigil.plugins import Sink
from tests.support.receiver import Receiver, receiving
from tests.unit.sinks.channels import KEY, PUBLIC_URL, USUAL, last, perform, to_opsgenie, told
from tests.unit.sinks.samples import act, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(USUAL["opsgenie"]) as server:
        yield server


@pytest.fixture
def sink(receiver: Receiver, tmp_path: Path) -> Sink:
    return to_opsgenie(receiver.url, tmp_path)


def test_an_alert_has_an_alias_a_priority_and_the_diagnosis(sink: Sink, receiver: Receiver) -> None:
    row = perform(sink, act(), pile_up())
    (alert,) = told(receiver)
    assert last(receiver).headers["authorization"] == f"GenieKey {KEY}"
    assert (alert["alias"], alert["priority"]) == (row.remote["key"], "P1")
    assert len(alert["message"]) <= 130
    assert "SELECT pg_cancel_backend(9020);" in alert["description"]
    assert alert["details"]["page"] == f"{PUBLIC_URL}/incidents/INC-412"


def test_what_is_long_is_cut_to_what_opsgenie_takes(sink: Sink, receiver: Receiver) -> None:
    perform(sink, act(), pile_up(summary="s" * 100_000, target="t" * 1000))
    (alert,) = told(receiver)
    assert len(alert["message"]) <= 130
    assert len(alert["description"]) <= 15_000
    assert len(alert["entity"]) <= 512


def test_it_is_acknowledged_closed_and_opened_again_by_its_alias(sink: Sink, receiver: Receiver) -> None:
    row = perform(sink, act(), pile_up())
    row = perform(sink, act(EDIT), pile_up(acknowledged_by="ana"), row)
    row = perform(sink, act(EDIT), pile_up(acknowledged_by="ana", summary="24 sessions"), row)
    row = perform(sink, act(EDIT), resolved(), row)
    perform(sink, act(POST, Told.REOPENED), pile_up(), row)
    alias = row.remote["key"]
    assert [asked.path for asked in receiver.asked] == [
        "/v2/alerts",
        f"/v2/alerts/{alias}/acknowledge?identifierType=alias",
        f"/v2/alerts/{alias}/close?identifierType=alias",
        "/v2/alerts",
    ]


def test_the_test_message_is_closed_again(sink: Sink, receiver: Receiver) -> None:
    send_test("oncall", sink, system_now())
    assert len(receiver.asked) == 2
    assert last(receiver).path.endswith("/close?identifierType=alias")
