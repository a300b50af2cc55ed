"""PagerDuty: who is called, and what is closed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.notify import send_test
from daemon.clock import system_now
from pgvigil.model.delivery import Told
from pgvigil.model.evidence import Block, BlockKind
from pgvigil.model.level import Level
from pgvigil.plugins import Sink
from tests.support.receiver import Receiver, Say, receiving
from tests.unit.sinks.channels import KEY, PUBLIC_URL, USUAL, perform, to_pagerduty, told, written
from tests.unit.sinks.samples import act, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST, failure


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(USUAL["pagerduty"]) as server:
        yield server


@pytest.fixture
def sink(receiver: Receiver, tmp_path: Path) -> Sink:
    return to_pagerduty(receiver.url, tmp_path)


def said(receiver: Receiver) -> list[str]:
    return [event["event_action"] for event in told(receiver)]


def test_an_incident_is_triggered_with_its_evidence_and_a_link(sink: Sink, receiver: Receiver) -> None:
    row = perform(sink, act(), pile_up())
    (event,) = told(receiver)
    payload = event["payload"]
    assert (event["event_action"], event["routing_key"], event["dedup_key"]) == (
        "trigger",
        KEY,
        row.remote["key"],
    )
    assert len(event["dedup_key"]) <= 255
    assert event["links"] == [{"href": f"{PUBLIC_URL}/incidents/INC-412", "text": "INC-412"}]
    assert payload["severity"] == "critical"
    assert payload["summary"].startswith("Blocking chain · shop @ orders-prod: 23 sessions blocked")
    assert payload["source"] == "orders-prod"
    details = payload["custom_details"]
    assert details["evidence"][0]["text"].startswith("8123 idle in transaction")
    assert details["steps"][1]["sql"] == "SELECT pg_cancel_backend(9020);"


def test_it_is_acknowledged_and_closed_under_the_same_key(sink: Sink, receiver: Receiver) -> None:
    row = perform(sink, act(), pile_up())
    row = perform(sink, act(EDIT), pile_up(acknowledged_by="ana"), row)
    row = perform(sink, act(EDIT), resolved(acknowledged_by="ana"), row)
    perform(sink, act(POST, Told.REOPENED), pile_up(), row)
    assert said(receiver) == ["trigger", "acknowledge", "resolve", "trigger"]
    assert len({event["dedup_key"] for event in told(receiver)}) == 1


@pytest.mark.parametrize("mark", [{"silenced_by": "SIL-3"}, {"suppressed_by": "INC-3"}])
def test_of_what_is_silenced_or_explained_nobody_else_is_called(
    sink: Sink, receiver: Receiver, mark: dict[str, Any]
) -> None:
    row = perform(sink, act(), pile_up())
    perform(sink, act(EDIT), pile_up(**mark), row)
    assert said(receiver) == ["trigger", "acknowledge"]


def test_new_figures_alone_are_not_sent_and_worse_is_sent_once(sink: Sink, receiver: Receiver) -> None:
    row = perform(sink, act(), pile_up(severity=Level.WARNING))
    row = perform(sink, act(EDIT), pile_up(severity=Level.WARNING, summary="24 sessions"), row)
    row = perform(sink, act(EDIT), pile_up(), row)
    perform(sink, act(POST, Told.WORSE), pile_up(), row)
    assert [event["payload"]["severity"] for event in told(receiver)] == ["warning", "critical"]


def test_two_episodes_of_one_fault_have_two_keys(sink: Sink, receiver: Receiver) -> None:
    """The late end of one must not close the other."""
    perform(sink, act(), pile_up())
    perform(sink, act(), pile_up(id=413))
    assert len({event["dedup_key"] for event in told(receiver)}) == 2


def test_evidence_of_megabytes_is_cut_to_what_pagerduty_takes(sink: Sink, receiver: Receiver) -> None:
    many = tuple(Block(BlockKind.TEXT, f"part {number}", "\u20ac" * 100_000) for number in range(30))
    perform(sink, act(), pile_up(evidence=replace(pile_up().evidence, blocks=many)))
    assert len(receiver.asked[0].body) <= 512 * 1024
    assert len(told(receiver)[0]["payload"]["custom_details"]["evidence"]) == 30


def test_a_wrong_key_is_for_people_to_mend_and_read_again(
    sink: Sink, receiver: Receiver, tmp_path: Path
) -> None:
    refused = Say(400, b'{"status":"invalid event","errors":["Invalid routing key"]}')
    receiver.faults.append(refused)
    assert failure(sink)[0] == "misconfigured"
    receiver.faults.append(refused)
    written(tmp_path, "key", "a-new-key")
    perform(sink, act(), pile_up())
    assert told(receiver)[-1]["routing_key"] == "a-new-key"


def test_the_test_message_is_closed_again(sink: Sink, receiver: Receiver) -> None:
    send_test("oncall", sink, system_now())
    assert said(receiver) == ["trigger", "resolve"]
