"""Apprise: texts for services that take no more, through the library as it is."""

import importlib.util
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.sinks.apprise import SINK
from daemon.cli.notify import send_test
from daemon.clock import system_now
from pgvigil.model.delivery import Told
from pgvigil.model.digest import Digest, Line, Section
from pgvigil.plugins import Sink
from pgvigil.problems import SetupError
from tests.support.polling import poll
from tests.support.receiver import DRIP, DROP, GARBAGE, HANG, Receiver, Say, receiving
from tests.support.reporting import not_run
from tests.unit.sinks.channels import PUBLIC_URL, perform, told, written
from tests.unit.sinks.samples import BEGAN, MENTION, NOW, act, delivery, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST, failure

# A plug-in of the library imports a module that Python 3.13 no longer has, where it is still there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
TOKEN = "s3cretabcdefghijklmnopqrst"


@pytest.fixture(autouse=True)
def _installed() -> None:
    if importlib.util.find_spec("apprise") is None:
        not_run("needs the extra apprise")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Say(200, b"ok")) as server:
        yield server


def to(url: str, folder: Path) -> Sink:
    params = SINK.params(url_file=written(folder, "url", url), timeout="10s")
    return SINK.made("oncall", params, PUBLIC_URL, system_now)


@pytest.fixture
def sink(receiver: Receiver, tmp_path: Path) -> Sink:
    return to(f"json://127.0.0.1:{receiver.port}/{TOKEN}?rto=0.3", tmp_path)


def test_a_message_has_the_diagnosis_a_kind_and_a_link(sink: Sink, receiver: Receiver) -> None:
    perform(sink, act(), pile_up())
    perform(sink, act(POST, Told.RESOLVED, 9), resolved())
    first, end = told(receiver)
    assert first["title"] == "🔴 Blocking chain · shop @ orders-prod"
    assert "SELECT pg_cancel_backend(9020);" in first["message"]
    assert first["message"].endswith(f"{PUBLIC_URL}/incidents/INC-412")
    assert (first["type"], end["type"]) == ("failure", "success")


def test_mattermost_gets_a_text_of_its_own_form(receiver: Receiver, tmp_path: Path) -> None:
    perform(to(f"mmost://127.0.0.1:{receiver.port}/{TOKEN}", tmp_path), act(), pile_up())
    (asked,) = receiver.asked
    assert asked.path == f"/hooks/{TOKEN}"
    assert "23 sessions blocked 4m12s" in json.loads(asked.body)["text"]


def test_the_route_calls_people_and_text_from_a_database_does_not(sink: Sink, receiver: Receiver) -> None:
    hostile = pile_up(summary="x @everyone <@123> [look](http://evil.example) @here")
    perform(sink, act(), hostile, replace(delivery(), mention=MENTION))
    (message,) = told(receiver)
    first, _, rest = message["message"].partition("\n")
    assert first == MENTION
    assert not [each for each in ("@everyone", "<@123>", "](http", "@here") if each in rest]


def test_a_text_of_megabytes_is_cut(sink: Sink, receiver: Receiver) -> None:
    evidence = replace(pile_up().evidence, notes=tuple("n" * 300 for _ in range(10_000)))
    perform(sink, act(), pile_up(evidence=evidence))
    (message,) = told(receiver)
    assert len(message["message"]) <= 8_000
    assert message["message"].endswith("INC-412")


def test_a_digest_is_one_message(sink: Sink, receiver: Receiver) -> None:
    sections = (Section("New", (Line(incident=pile_up()),)),)
    sink.tell(Digest(id=1, part=1, title="pgvigil was away", since=BEGAN, until=NOW, sections=sections))
    (message,) = told(receiver)
    assert "INC-412" in message["message"]


@pytest.mark.parametrize(
    ("fault", "means"),
    [
        (Say(429), "rate_limited"),
        (Say(502, b"<html>no</html>"), "ambiguous"),
        (Say(503), "transient"),
        (Say(400), "rejected"),
        (Say(403), "misconfigured"),
        (Say(302, headers={"Location": "/elsewhere"}), "misconfigured"),
        (DROP, "ambiguous"),
        (HANG, "ambiguous"),
        (GARBAGE, "ambiguous"),
    ],
    ids=str,
)
def test_each_fault_means_one_thing(
    sink: Sink, receiver: Receiver, caplog: pytest.LogCaptureFixture, fault: Say | str, means: str
) -> None:
    receiver.faults.append(fault)
    with caplog.at_level(logging.DEBUG):
        found, error = failure(sink)
    assert found == means
    assert len(receiver.asked) == 1, "no retries, and nothing follows a redirect"
    assert TOKEN not in str(error) + caplog.text


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"], ids=["head", "body"]
)
def test_an_answer_that_drips_is_cut_and_nothing_goes_on_behind(
    receiver: Receiver, tmp_path: Path, head: bytes
) -> None:
    """No step of it is late. Who waits for it is free again, and so is the thread that read it."""
    params = SINK.params(
        url_file=written(tmp_path, "url", f"json://127.0.0.1:{receiver.port}/{TOKEN}?rto=5"), timeout="1s"
    )
    sink = SINK.made("oncall", params, PUBLIC_URL, system_now)
    receiver.drips_after = head
    receiver.faults.append(DRIP)
    assert failure(sink)[0] == "ambiguous"
    poll(lambda: receiver.hung_up, 5, message="the connection is cut")
    perform(sink, act(), pile_up())
    assert len(receiver.asked) == 2


def test_a_url_that_is_none_is_told_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        to(f"nonsense://{TOKEN}", tmp_path)
    assert [problem.slug for problem in caught.value.problems] == ["apprise-url"]
    assert TOKEN not in str(caught.value)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SetupError) as caught:
        to("json://127.0.0.1:1", tmp_path)
    assert [problem.slug for problem in caught.value.problems] == ["apprise-missing"]


def test_it_cannot_edit_and_the_test_message_is_resolved(sink: Sink, receiver: Receiver) -> None:
    assert failure(sink, act(EDIT))[0] == "rejected"
    send_test("oncall", sink, system_now())
    assert [message["type"] for message in told(receiver)] == ["info", "success"]
