"""What the Slack sink tells the outbox when a call fails."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.sinks.slack import SINK, SlackParams
from alerts.sinks.slack.sink import SlackSink
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from pgvigil.model.delivery import (
    DeliveryFailure,
    Told,
)
from tests.support.receiver import DRIP, Say, receiving
from tests.unit.sinks.samples import act, delivery
from tests.unit.sinks.sending import EDIT, REPLY, built, failure, post


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [(7, 7.0), ("1.5", 1.5), ("soon", 30.0), ("nan", 30.0), (-5, 1.0), (10**9, 3600.0)],
)
def test_a_rate_limit_says_how_long_to_wait(
    slack: FakeSlack, sink: SlackSink, retry_after: object, wait_s: float
) -> None:
    slack.inject("chat.postMessage", faults.rate_limited(retry_after))
    kind, error = failure(sink)
    assert (kind, error.retry_after_s) == (DeliveryFailure.RATE_LIMITED, wait_s)
    assert slack.messages() == ()


@pytest.mark.parametrize(
    ("fault", "of_post", "of_edit"),
    [
        (faults.http_error(503), "transient", "transient"),
        (faults.http_error(500), "ambiguous", "transient"),
        (faults.http_error(502), "ambiguous", "transient"),
        (faults.http_error(504, accepted=True), "ambiguous", "transient"),
        (faults.api_error("internal_error", accepted=True), "ambiguous", "transient"),
        (faults.api_error("fatal_error"), "ambiguous", "transient"),
        (faults.api_error("service_unavailable"), "transient", "transient"),
        (faults.http_error(200), "transient", "transient"),
        (faults.drop(accepted=True), "ambiguous", "transient"),
        (faults.drop(), "ambiguous", "transient"),
        (faults.hang(accepted=True), "ambiguous", "transient"),
        (faults.api_error("ratelimited"), "rate_limited", "rate_limited"),
        (faults.api_error("channel_not_found"), "misconfigured", "misconfigured"),
        (faults.api_error("not_in_channel"), "misconfigured", "misconfigured"),
        (faults.api_error("is_archived"), "misconfigured", "misconfigured"),
        (faults.api_error("missing_scope"), "misconfigured", "misconfigured"),
        (faults.api_error("invalid_auth"), "misconfigured", "misconfigured"),
        (faults.api_error("account_inactive"), "misconfigured", "misconfigured"),
        (faults.api_error("something_new_in_2031"), "misconfigured", "misconfigured"),
        (faults.api_error("cant_update_message"), "gone", "gone"),
        (faults.api_error("edit_window_closed"), "gone", "gone"),
        (faults.api_error("is_inactive"), "gone", "gone"),
        (faults.api_error("no_text"), "rejected", "rejected"),
    ],
)
def test_each_fault_means_one_thing_to_the_outbox(
    slack: FakeSlack, sink: SlackSink, fault: faults.Fault, of_post: str, of_edit: str
) -> None:
    row = post(sink)
    slack.inject_always("chat.postMessage", fault)
    slack.inject_always("chat.update", fault)
    assert failure(sink)[0] == of_post
    assert failure(sink, act(EDIT), row)[0] == of_edit


def test_one_act_is_at_most_one_call_that_can_create(slack: FakeSlack, sink: SlackSink) -> None:
    for fault in (faults.drop(accepted=True), faults.http_error(502), faults.hang()):
        before = len(slack.calls_of("chat.postMessage"))
        slack.inject_always("chat.postMessage", fault)
        failure(sink)
        slack.clear()
        assert len(slack.calls_of("chat.postMessage")) == before + 1


def test_when_nobody_listens_nothing_can_have_arrived(slack: FakeSlack, sink: SlackSink) -> None:
    slack.stop()
    kind, error = failure(sink)
    assert kind is DeliveryFailure.TRANSIENT
    assert "refused" in str(error).lower()
    slack.start()
    post(sink)


def test_a_name_that_does_not_resolve_is_transient(token_file: Path) -> None:
    params = SlackParams(token_file=token_file, channel="#x", base_url="http://slack.invalid/", timeout="1s")
    assert failure(SINK.build("oncall", params, ""))[0] is DeliveryFailure.TRANSIENT


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts into its backlog and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_tls_handshake_that_never_ends_has_sent_nothing(
    slack: FakeSlack, token_file: Path, silent_port: int
) -> None:
    params = SlackParams(
        token_file=token_file, channel="#x", base_url=f"https://127.0.0.1:{silent_port}/", timeout="1s"
    )
    assert failure(SINK.build("oncall", params, ""))[0] is DeliveryFailure.TRANSIENT


def test_a_server_that_reads_and_never_answers_is_ambiguous(
    slack: FakeSlack, token_file: Path, silent_port: int
) -> None:
    params = SlackParams(
        token_file=token_file, channel="#x", base_url=f"http://127.0.0.1:{silent_port}/", timeout="1s"
    )
    assert failure(SINK.build("oncall", params, ""))[0] is DeliveryFailure.AMBIGUOUS


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"ok": tr',
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=nonsense\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n\xff\xfe{}",
    ],
)
def test_an_answer_that_cannot_be_read_is_ambiguous(
    slack: FakeSlack, token_file: Path, answer: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        base_url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        params = SlackParams(token_file=token_file, channel="#x", base_url=base_url, timeout="2s")
        kind, _ = failure(SINK.build("oncall", params, ""))
        thread.join(5)
    assert kind is DeliveryFailure.AMBIGUOUS


def test_a_message_that_a_human_deleted_is_gone(slack: FakeSlack, sink: SlackSink) -> None:
    row = post(sink)
    slack.delete_as_human(row.remote["ts"])
    assert failure(sink, act(EDIT), row)[0] is DeliveryFailure.GONE
    assert failure(sink, act(REPLY, Told.WORSE), row)[0] is DeliveryFailure.GONE
    assert failure(sink, act(EDIT), delivery())[0] is DeliveryFailure.GONE, "no handle, no message"


def test_a_message_in_a_former_channel_that_is_no_more_is_gone_not_a_misconfiguration(
    slack: FakeSlack, token_file: Path
) -> None:
    row = post(built(slack, token_file))
    slack.workspace.add_channel("new-home")
    moved = built(slack, token_file, "#new-home")
    assert moved.check() == ()
    slack.channel("db-oncall").is_archived = True
    assert failure(moved, act(EDIT), row)[0] is DeliveryFailure.GONE
    post(moved)
    assert len(slack.messages("new-home")) == 1


def test_an_answer_that_drips_for_ever_holds_nobody_up(token_file: Path, tmp_path: Path) -> None:
    """No step of it is late, with a bot token and with a webhook; a message may have been posted by then."""
    with receiving(Say()) as server:
        bot = SINK.build(
            "oncall",
            SlackParams(token_file=token_file, channel="#x", base_url=f"{server.url}/", timeout="1s"),
            "",
        )
        address = tmp_path / "webhook"
        address.write_text(f"{server.url}/services/T/B/x")
        webhook = SINK.build("oncall", SlackParams(webhook_url_file=address, timeout="1s"), "")
        for sink in (bot, webhook):
            server.faults.append(DRIP)
            assert failure(sink)[0] is DeliveryFailure.AMBIGUOUS
            sink.close()
