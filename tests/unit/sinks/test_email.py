"""E-mail: threads, safe headers, and what each fault of a mail server means."""

from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.sinks.email import SINK
from daemon.cli.notify import send_test
from daemon.clock import system_now
from pgvigil.model.delivery import Told
from pgvigil.model.digest import Digest, Line, Section
from pgvigil.model.evidence import Block, BlockKind
from pgvigil.plugins import Sink
from tests.support.certificates import Authority
from tests.support.mailbox import DRIP, DROP, HANG, Mailbox, mailbox
from tests.unit.sinks.channels import PUBLIC_URL, perform, written
from tests.unit.sinks.samples import BEGAN, NOW, act, delivery, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST, failure

PLAIN = {
    "security": "none",
    "sender": "pgvigil@example.org",
    "recipients": ("dba@example.org", "ops@example.org"),
}
HOSTILE = "x\r\nBcc: thief@example.net\r\n\r\n<script>alert(1)</script>\u202e"


def made(box: Mailbox, **params: Any) -> Sink:
    given = PLAIN | {"host": "127.0.0.1", "port": box.port, "timeout": "500ms"} | params
    return SINK.made("oncall", SINK.params(**given), PUBLIC_URL, system_now)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as server:
        yield server


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_a_mail_tells_the_whole_in_text_and_in_html(box: Mailbox) -> None:
    perform(made(box), act(), pile_up())
    (mail,) = box.mails
    assert mail["Subject"] == "CRIT: Blocking chain · shop @ orders-prod (INC-412)"
    assert box.envelopes == [("pgvigil@example.org", ("dba@example.org", "ops@example.org"))]
    assert mail["To"] == "dba@example.org, ops@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    for kind in ("plain", "html"):
        text = part(mail, kind)
        assert "SELECT pg_cancel_backend(9020);" in text
        assert "8123 idle in transaction 6m02s" in text
        assert f"{PUBLIC_URL}/incidents/INC-412" in text
    assert all(byte < 128 for byte in box.raw[0]), "fit for every mail server"


def test_the_mails_of_an_incident_are_one_thread(box: Mailbox) -> None:
    sink = made(box)
    row = perform(sink, act(), pile_up())
    perform(sink, act(POST, Told.WORSE, 4), pile_up(), row)
    perform(sink, act(POST, Told.RESOLVED, 5), resolved(), row)
    first, worse, end = box.mails
    assert first["In-Reply-To"] is None
    assert {worse["In-Reply-To"], end["In-Reply-To"], end["References"]} == {first["Message-ID"]}
    assert len({mail["Message-ID"] for mail in box.mails}) == 3
    assert end["Subject"].startswith("RESOLVED: Blocking chain")


def test_a_mail_that_is_sent_again_is_the_same_mail_and_says_that_it_may_be_one(box: Mailbox) -> None:
    sink = made(box)
    perform(sink, act(), pile_up())
    sink.perform(act(), pile_up(), delivery(), possible_duplicate_of=NOW)
    first, again = box.mails
    assert first["Message-ID"] == again["Message-ID"]
    assert "possible duplicate" in part(again, "plain")


def test_text_from_a_database_becomes_neither_header_nor_markup(box: Mailbox) -> None:
    blocks = (Block(BlockKind.SQL, HOSTILE, HOSTILE + "\r\n.\r\nMAIL FROM:<thief@example.net>\r\n"),)
    hostile = pile_up(
        database=HOSTILE,
        summary=HOSTILE,
        subject=HOSTILE,
        evidence=replace(pile_up().evidence, blocks=blocks, cause=HOSTILE),
    )
    perform(made(box), act(), hostile)
    (mail,) = box.mails
    assert len(box.envelopes) == 1
    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    }
    assert "<script>" not in part(mail, "html")
    assert "\u202e" not in part(mail, "html") + part(mail, "plain") + mail["Subject"]


def test_a_digest_is_one_mail_and_what_it_told_first_answers_it(box: Mailbox) -> None:
    sink = made(box)
    lines = (Line(incident=pile_up()),)
    digest = Digest(
        id=1, part=1, title="pgvigil was away", since=BEGAN, until=NOW, sections=(Section("New", lines),)
    )
    handle = sink.tell(digest)
    sink.perform(act(), pile_up(), replace(delivery(), thread=handle))
    told, first = box.mails
    assert "INC-412" in part(told, "plain")
    assert "INC-412" in part(told, "html")
    assert first["In-Reply-To"] == told["Message-ID"] == handle["message_id"]


@pytest.mark.parametrize(
    ("step", "answer", "means"),
    [
        ("connect", "421 later", "transient"),
        ("connect", DROP, "transient"),
        ("connect", HANG, "transient"),
        ("connect", DRIP, "transient"),
        ("connect", "garbage", "transient"),
        ("mail", "451 later", "transient"),
        ("mail", "550 no such sender", "misconfigured"),
        ("rcpt", "450 greylisted", "transient"),
        ("rcpt", "550 unknown", "misconfigured"),
        ("rcpt", DROP, "transient"),
        ("data", "451 later", "transient"),
        ("end", "452 full", "transient"),
        ("end", "554 looks like spam", "rejected"),
        ("end", DROP, "ambiguous"),
        ("end", HANG, "ambiguous"),
        ("end", DRIP, "ambiguous"),
    ],
)
def test_each_fault_means_one_thing(box: Mailbox, step: str, answer: str, means: str) -> None:
    box.faults[step] = answer
    assert failure(made(box))[0] == means


def test_nobody_there_is_transient(box: Mailbox) -> None:
    with mailbox() as gone:
        sink = made(gone)
    assert failure(sink)[0] == "transient"


def test_one_recipient_who_is_refused_does_not_keep_the_others_from_hearing(box: Mailbox) -> None:
    box.faults["rcpt dba@example.org"] = "550 unknown"
    perform(made(box), act(), pile_up())
    assert box.envelopes == [("pgvigil@example.org", ("ops@example.org",))]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_login_goes_over_tls_and_a_rotated_password_is_read_again(tmp_path: Path, security: str) -> None:
    authority = Authority(tmp_path / "ca")
    with mailbox(authority.sign("127.0.0.1"), implicit=security == "tls") as box:
        box.password = "first"
        secret = written(tmp_path, "password", "first")
        login = {"username": "pgvigil", "password_file": secret, "ca_file": authority.root}
        sink = made(box, security=security, timeout="5s", **login)
        perform(sink, act(), pile_up())
        box.password = "second"
        assert failure(sink)[0] == "misconfigured"
        secret.write_text("second")
        perform(sink, act(), pile_up())
    assert [each.partition(":")[2] for each in box.logins] == ["first", "first", "first", "second"]
    assert len(box.mails) == 2


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_host_is_misconfigured(tmp_path: Path, security: str) -> None:
    authority = Authority(tmp_path / "ca")
    with mailbox(authority.sign("127.0.0.2"), implicit=security == "tls") as box:
        found, error = failure(made(box, security=security, ca_file=authority.root, timeout="5s"))
    assert (found, box.mails) == ("misconfigured", [])
    assert "certificate" in str(error)


def test_a_server_without_starttls_gets_nothing_in_the_clear(box: Mailbox) -> None:
    assert failure(made(box, security="starttls"))[0] == "misconfigured"
    assert box.mails == []


@pytest.mark.parametrize(
    "params",
    [
        {"sender": "a@b\r\nBcc: c@d"},
        {"recipients": ("Ana <ana@example.org>",)},
        {"recipients": ()},
        {"username": "pgvigil"},
        {"username": "pgvigil", "password_file": "/tmp/x", "security": "none"},
        {"host": "a b"},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_at_once(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SINK.params(**(PLAIN | {"host": "localhost"} | params))


def test_it_cannot_edit_and_the_test_message_is_resolved(box: Mailbox) -> None:
    sink = made(box)
    assert failure(sink, act(EDIT))[0] == "rejected"
    send_test("oncall", sink, system_now())
    assert [mail["Subject"].partition(":")[0] for mail in box.mails] == ["INFO", "RESOLVED"]
