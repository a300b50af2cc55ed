"""What each fault of a destination that speaks HTTP means, for each sink that sends to one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgvigil.model.delivery import CannotLookError, DeliveryFailure
from pgvigil.problems import SetupError
from tests.support.certificates import Authority
from tests.support.receiver import DRIP, DROP, GARBAGE, HANG, Receiver, Say, nobody_there, receiving
from tests.unit.sinks.channels import BUILT, IDEMPOTENT, KEY, USUAL
from tests.unit.sinks.samples import act, delivery, pile_up
from tests.unit.sinks.sending import failure

HTML = {"Content-Type": "text/html"}
PERHAPS = "perhaps"  # ambiguous, where doing it twice would be seen


@pytest.fixture(params=BUILT)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def receiver(kind: str) -> Iterator[Receiver]:
    with receiving(USUAL[kind]) as server:
        yield server


@pytest.mark.parametrize(
    ("fault", "means"),
    [
        (Say(429, headers={"Retry-After": "7"}), "rate_limited"),
        (Say(500), PERHAPS),
        (Say(502, b"<html>Bad gateway</html>", HTML), PERHAPS),
        (Say(503, b"<html>Later</html>", HTML), "transient"),
        (Say(400, b'{"message":"no"}'), "rejected"),
        (Say(401), "misconfigured"),
        (Say(404), "misconfigured"),
        (Say(302, headers={"Location": "/elsewhere"}), "misconfigured"),
        (Say(307, headers={"Location": "/elsewhere"}), "misconfigured"),
        (DROP, PERHAPS),
        (HANG, PERHAPS),
        (GARBAGE, PERHAPS),
        (DRIP, PERHAPS),  # a byte at a time, for ever: no step of it is late
    ],
    ids=str,
)
def test_each_fault_means_one_thing(
    kind: str, receiver: Receiver, tmp_path: Path, fault: Say | str, means: str
) -> None:
    receiver.faults.append(fault)
    found, error = failure(BUILT[kind](receiver.url, tmp_path))
    if means == PERHAPS:
        means = "transient" if kind in IDEMPOTENT else "ambiguous"
    assert found == means
    assert error.retry_after_s == (7.0 if means == "rate_limited" else None)
    assert len(receiver.asked) == 1, "no retries, and nothing follows a redirect"
    assert "<html>" not in str(error)


def test_a_secret_is_in_no_error(kind: str, receiver: Receiver, tmp_path: Path) -> None:
    receiver.faults.append(Say(400, f"bad key {KEY}".encode()))
    if kind != "webhook":  # it never sends its key
        assert KEY not in str(failure(BUILT[kind](receiver.url, tmp_path))[1])


def test_refused_is_transient(kind: str, tmp_path: Path) -> None:
    assert failure(BUILT[kind](nobody_there(), tmp_path))[0] is DeliveryFailure.TRANSIENT


def test_an_answer_without_end_is_an_answer(kind: str, receiver: Receiver, tmp_path: Path) -> None:
    receiver.faults.append(Say(USUAL[kind].status or 200, b"x", endless=True))
    BUILT[kind](receiver.url, tmp_path).perform(act(), pile_up(), delivery())


def test_a_certificate_of_another_host_is_misconfigured(kind: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.sign("127.0.0.2")
    with receiving(USUAL[kind], pair) as server:
        sink = BUILT[kind](server.url, tmp_path, ca_file=authority.root, timeout="5s")
        found, error = failure(sink)
        assert (found, server.asked) == (DeliveryFailure.MISCONFIGURED, [])
        assert "certificate" in str(error)


def test_a_certificate_of_the_named_authority_is_trusted(kind: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with receiving(USUAL[kind], authority.sign("127.0.0.1")) as server:
        sink = BUILT[kind](server.url, tmp_path, ca_file=authority.root, timeout="5s")
        sink.perform(act(), pile_up(), delivery())
        assert len(server.asked) == 1
    with pytest.raises(SetupError):
        BUILT[kind](server.url, tmp_path, ca_file=tmp_path / "none.pem")


def test_it_says_that_it_cannot_look(kind: str, tmp_path: Path) -> None:
    sink = BUILT[kind](nobody_there(), tmp_path)
    for look in (sink.find, sink.recall):
        with pytest.raises(CannotLookError):
            look(act(), pile_up(), delivery())
    assert sink.digest_lines == 0
    assert sink.check() == ()
