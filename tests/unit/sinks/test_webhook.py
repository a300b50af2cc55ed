"""The webhook: what a program gets, and how it knows that it is from us."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.sinks import webhook
from alerts.sinks.webhook import SINK
from daemon.cli.notify import send_test
from daemon.clock import system_now
from pgvigil.model.delivery import Told
from pgvigil.model.level import Level
from tests.support.receiver import Receiver, Say, receiving
from tests.unit.sinks.channels import KEY, PUBLIC_URL, last, made, perform, to_webhook, told, written
from tests.unit.sinks.samples import act, delivery, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST, failure

HOSTILE = 'x" }, {{ 7*7 }} \u202e </script>'


@pytest.fixture(params=[200, 201, 202, 204])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    with receiving(Say(request.param, b"")) as server:
        yield server


@pytest.fixture
def usual() -> Iterator[Receiver]:
    with receiving(Say(204, b"")) as server:
        yield server


def test_what_is_worth_hearing_is_one_object_each(receiver: Receiver, tmp_path: Path) -> None:
    sink = to_webhook(receiver.url, tmp_path)
    row = perform(sink, act(), pile_up(severity=Level.WARNING))
    perform(sink, act(POST, Told.WORSE, 4), pile_up(), row)
    perform(sink, act(POST, Told.RESOLVED, 5), resolved(), row)
    assert [each["event"] for each in told(receiver)] == ["fired", "worse", "resolved"]
    assert [each["incident_version"] for each in told(receiver)] == [3, 4, 5]
    first = told(receiver)[0]
    assert first["page"] == f"{PUBLIC_URL}/incidents/INC-412"
    assert first["incident"]["evidence"][1]["text"] == "UPDATE invoices SET status=$1 WHERE id=$2"
    assert not sink.can_edit


def test_each_request_is_signed_dated_and_numbered(usual: Receiver, tmp_path: Path) -> None:
    perform(to_webhook(usual.url, tmp_path), act(), pile_up())
    asked = last(usual)
    signed = asked.headers["pgvigil-timestamp"].encode() + b"." + asked.body
    expected = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert asked.headers["pgvigil-signature"] == f"v1={expected}"
    assert asked.headers["pgvigil-version"] == "1"
    assert asked.headers["idempotency-key"] == json.loads(asked.body)["idempotency_key"]


def test_a_repeated_request_has_the_same_key_and_says_that_it_may_be_one(
    usual: Receiver, tmp_path: Path
) -> None:
    sink = to_webhook(usual.url, tmp_path)
    sent_at = datetime(2026, 11, 22, 20, 14, 5, tzinfo=UTC)
    perform(sink, act(), pile_up())
    sink.perform(act(), pile_up(), delivery(), possible_duplicate_of=sent_at)
    first, again = told(usual)
    assert first["idempotency_key"] == again["idempotency_key"]
    assert (first["possible_duplicate_of"], again["possible_duplicate_of"]) == (None, sent_at.isoformat())


def test_with_updates_it_also_hears_of_figures_and_marks(usual: Receiver, tmp_path: Path) -> None:
    sink = to_webhook(usual.url, tmp_path, updates=True)
    assert sink.can_edit
    perform(sink, act(EDIT), pile_up(acknowledged_by="ana"))
    (update,) = told(usual)
    assert (update["event"], update["incident"]["marks"]) == ("updated", ["acknowledged"])


def test_a_template_of_ones_own_holds_hostile_text_as_text(usual: Receiver, tmp_path: Path) -> None:
    template = written(
        tmp_path,
        "body.j2",
        '{"text": {{ (event ~ ": " ~ incident.summary) | tojson }}, "priority": {{ 1 if incident.severity == "critical" else 3 }}}',
    )
    sink = to_webhook(usual.url, tmp_path, template_file=template)
    perform(sink, act(), pile_up(summary=HOSTILE))
    assert told(usual) == [{"text": 'fired: x" }, {{ 7*7 }} </script>', "priority": 1}]


@pytest.mark.parametrize(
    ("template", "says"),
    [("{{ incident.", "line 1"), ("\n{% if %}", "line 2"), ("{% for x in y %}", "line 1")],
)
def test_a_template_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, template: str, says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        made(SINK, url="http://127.0.0.1:1", template_file=written(tmp_path, "body.j2", template))


@pytest.mark.parametrize(
    "template",
    [
        "{{ nothing.here }}",
        "{{ incident.nothing }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ incident.name() }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_that_can_never_be_rendered_is_refused_with_the_configuration(
    tmp_path: Path, template: str
) -> None:
    with pytest.raises(ValidationError, match="template_file fails"):
        made(SINK, url="http://127.0.0.1:1", template_file=written(tmp_path, "body.j2", template))


def test_a_template_that_fails_on_one_incident_sends_nothing_and_is_for_people_to_mend(
    usual: Receiver, tmp_path: Path
) -> None:
    """Which figures and labels there are is no fault of the configuration."""
    template = "{{ incident.figures['No such figure'] }} {{ incident.labels.team }}"
    path = written(tmp_path, "body.j2", template)
    assert failure(to_webhook(usual.url, tmp_path, template_file=path))[0] == "misconfigured"
    assert usual.asked == []


def test_the_message_that_a_template_is_tried_with_has_what_real_ones_have(
    usual: Receiver, tmp_path: Path
) -> None:
    perform(to_webhook(usual.url, tmp_path), act(), pile_up())
    (real,) = told(usual)
    assert real.keys() == webhook._SAMPLE.keys()
    assert real["incident"].keys() == webhook._SAMPLE["incident"].keys()


def test_secrets_come_from_files_and_are_read_again_when_refused(usual: Receiver, tmp_path: Path) -> None:
    url_file, authorization = (
        written(tmp_path, "url", f"{usual.url}/hook/s3cret"),
        written(tmp_path, "authorization", "Bearer old"),
    )
    sink = made(SINK, url_file=url_file, authorization_file=authorization)
    perform(sink, act(), pile_up())
    assert (last(usual).path, last(usual).headers["authorization"]) == ("/hook/s3cret", "Bearer old")
    usual.faults.append(Say(401, b"Bearer old is over"))
    assert "Bearer old" not in str(failure(sink)[1])
    usual.faults.append(Say(401))
    written(tmp_path, "authorization", "Bearer new")
    perform(sink, act(), pile_up())
    assert last(usual).headers["authorization"] == "Bearer new"
    assert "pgvigil-signature" not in last(usual).headers


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"url": "ftp://example.org"},
        {"url": "https://name:word@example.org"},
        {"url": "https://example.org/a b"},
        {"url": "https://example.org", "url_file": "/tmp/url"},
        {"url": "https://example.org", "content_type": "text/plain\r\nX: y"},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_at_once(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SINK.params(**params)


def test_the_test_message_is_resolved(usual: Receiver, tmp_path: Path) -> None:
    send_test("oncall", to_webhook(usual.url, tmp_path), system_now())
    assert [each["event"] for each in told(usual)] == ["fired", "resolved"]
