"""After a pause: one message, each incident in it, and then as if each had been told by itself."""

from datetime import timedelta

import pytest

from pgvigil.model.delivery import DeliveryStatus
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from tests.support.outbox import Rig
from tests.unit.outbox.pauses import all_settled, posted, resolve, sections

CRITICAL, WARNING, INFO = Level.CRITICAL, Level.WARNING, Level.INFO
FIRING, RESOLVED, UNKNOWN = State.FIRING, State.RESOLVED, State.UNKNOWN
SETTLED = DeliveryStatus.SETTLED
DIGEST_1 = "digest 1:1:2026-11-22T20:00:05+00:00"


def test_a_pause_is_one_message_and_its_thread(rig: Rig) -> None:
    """Still there: silent. Over: edited. New: posted below the digest, where it is edited and answered."""
    still, over, _same = posted(rig, "still", "over", "same")
    rig.away()
    rig.commit(still, "refreshed", summary="41 sessions")
    resolve(rig, over)
    first, second = (rig.commit(subject=name, severity=CRITICAL, mention=f"<@U{name}>") for name in "12")
    rig.run(30)
    assert rig.sink.in_channel == ["1:1:post", "2:1:post", "3:1:post", DIGEST_1]
    assert sections(rig) == {"New": [4, 5], "Still firing": [1, 3], "Resolved meanwhile": [2]}
    assert rig.sink.digests[0].mention == "<@U1> <@U2>"
    assert rig.sink.digests[0].footer == "From 2026-11-22 20:00Z to 2026-11-22 22:00Z nobody looked."
    assert rig.sink.calls[3:] == ["digest", "post", "post", "edit", "edit"]
    assert [root.state for root in rig.sink.roots] == [FIRING, RESOLVED, FIRING, FIRING, FIRING]
    assert rig.sink.replies == []
    assert all_settled(rig, 5)
    rig.commit(resolve(rig, first), state=FIRING, reopened=1)
    rig.run(5)
    resolve(rig, second)
    rig.run(5)
    assert rig.sink.calls[8:] == ["edit", "edit", "reply resolved"]
    assert rig.store.digests.get("oncall") is None


@pytest.mark.parametrize("new", [0, 1])
def test_with_nothing_or_one_thing_to_say_all_is_as_ever(rig: Rig, new: int) -> None:
    posted(rig, "a", "b", "c")
    rig.away()
    for _ in range(new):
        rig.commit(subject="new")
    rig.run(30)
    assert rig.sink.calls == ["post"] * (3 + new)
    assert rig.store.digests.get("oncall") is None


def test_edits_alone_are_no_reason_for_a_digest(rig: Rig) -> None:
    before = posted(rig, "a", "b", "c")
    rig.away()
    for incident in before:
        rig.commit(incident, "refreshed", summary="41 sessions")
    rig.run(30)
    assert rig.sink.calls[3:] == ["edit", "edit", "edit"]


def test_worse_and_reopened_are_told_by_the_digest_alone(rig: Rig) -> None:
    worse, over = posted(rig, "worse", "over")
    over = resolve(rig, over)
    rig.run(10)
    rig.away()
    rig.commit(worse, severity=CRITICAL, peak=CRITICAL)
    rig.commit(over, state=FIRING, reopened=1)
    rig.run(30)
    (digest,) = rig.sink.digests
    notes = {line.incident.id: line.note for section in digest.sections for line in section.lines}
    assert notes == {1: "worse: warning → critical", 2: "reopened"}
    assert [reply.told for reply in rig.sink.replies] == ["resolved"], "the one from before the pause"
    assert [(root.state, root.level) for root in rig.sink.roots] == [(FIRING, CRITICAL), (FIRING, WARNING)]


def test_what_nobody_is_to_be_disturbed_for_is_not_in_it(rig: Rig) -> None:
    child, _ = posted(rig, "child", "quiet")
    rig.away()
    rig.commit(child, state=UNKNOWN, suppressed_by="INC-3")
    rig.commit(subject="silenced", silenced_by="silence 12")
    rig.commit(subject="ended", severity=WARNING, peak=WARNING, state=RESOLVED)
    for name in "ab":
        rig.commit(subject=name)
    rig.run(30)
    assert sections(rig) == {"New": [5, 6], "Still firing": [2]}


def test_a_critical_that_came_and_went_is_in_it_and_needs_no_more(rig: Rig) -> None:
    rig.away()
    for name in "ab":
        rig.commit(subject=name, peak=CRITICAL, state=RESOLVED, resolved_at=rig.clock().utc)
    rig.run(30)
    assert sections(rig) == {"Resolved meanwhile": [1, 2]}
    assert rig.sink.calls == ["digest"]
    assert all_settled(rig, 2)


def test_a_critical_that_came_and_went_is_heard_when_it_comes_back(rig: Rig) -> None:
    rig.away()
    ended = [
        rig.commit(subject=name, peak=CRITICAL, state=RESOLVED, resolved_at=rig.clock().utc) for name in "ab"
    ]
    rig.run(30)
    rig.commit(ended[0], state=FIRING, reopened=1)
    rig.run(30)
    assert rig.sink.calls == ["digest", "post reopened"]
    assert rig.sink.roots[0].in_thread_of is None, "news stands in the channel"


def test_the_worst_come_first_and_what_does_not_fit_is_counted(rig: Rig) -> None:
    rig.sink.digest_lines = 3
    rig.away()
    levels = [INFO, WARNING, CRITICAL, WARNING, CRITICAL]
    for number, level in enumerate(levels):
        rig.commit(subject=str(number), severity=level, peak=level)
    rig.run(60)
    assert sections(rig) == {"New": [3, 5, 2]}
    assert rig.sink.messages[0].cut == {"New": 2}
    assert len(rig.sink.roots) == 5, "each has its own message in the thread"
    assert {root.in_thread_of for root in rig.sink.roots} == {"1"}


# --- the window -------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_all_was_looked_at(rig: Rig) -> None:
    rig.away()
    rig.settled = False
    rig.commit(subject="a", severity=CRITICAL)
    rig.run(20)
    rig.commit(subject="b")
    rig.run(20)
    assert rig.sink.calls == []
    assert rig.courier.settling
    rig.settled = True
    rig.run(10)
    assert sections(rig) == {"New": [1, 2]}


def test_a_target_that_cannot_be_looked_at_is_waited_for_a_minute(rig: Rig) -> None:
    rig.away()
    rig.settled = False
    for name in "ab":
        rig.commit(subject=name)
    rig.run(59)
    assert rig.sink.calls == []
    rig.run(2)
    assert rig.sink.calls[0] == "digest"


def test_a_crash_loop_does_not_begin_to_wait_anew(rig: Rig) -> None:
    rig.away()
    rig.settled = False
    for name in "ab":
        rig.commit(subject=name)
    for _ in range(4):
        rig.run(20)
        rig.restart()
    assert rig.sink.calls[0] == "digest"


def test_a_pause_after_a_pause_that_nobody_heard_of_is_one_pause(rig: Rig) -> None:
    rig.run(5)
    began = rig.clock().utc
    rig.away(3600)
    rig.settled = False
    rig.commit(subject="a")
    rig.run(5)
    rig.away(3600)
    rig.commit(subject="b")
    rig.run(5)
    assert rig.sink.calls == [], "after another pause it waits for another look around"
    rig.settled = True
    rig.run(10)
    (digest,) = rig.sink.digests
    assert (digest.since, digest.until) == (began, began + timedelta(seconds=7205))


def test_a_short_restart_is_as_ever(rig: Rig) -> None:
    posted(rig, "a")
    rig.restart()
    for name in "bc":
        rig.commit(subject=name)
    rig.run(10)
    assert rig.sink.calls == ["post"] * 3


# --- destinations that can do less ------------------------------------------------------------------------


@pytest.fixture
def webhook(rig: Rig) -> Rig:
    rig.sink.can_edit = rig.sink.can_reply = rig.sink.can_look = False
    return rig


def test_a_webhook_has_heard_what_the_digest_said(webhook: Rig) -> None:
    still, over = posted(webhook, "still", "over")
    webhook.away()
    resolve(webhook, over)
    new = webhook.commit(subject="new")
    webhook.run(30)
    assert sections(webhook) == {"New": [3], "Still firing": [1], "Resolved meanwhile": [2]}
    assert webhook.sink.calls == ["post", "post", "digest"]
    assert all_settled(webhook, 3)
    resolve(webhook, new)
    resolve(webhook, still)
    webhook.run(10)
    assert webhook.sink.calls[3:] == ["post resolved", "post resolved"]


def test_what_does_not_fit_goes_on_in_another_message(webhook: Rig) -> None:
    posted(webhook, "still")
    webhook.sink.digest_lines = 4
    webhook.away()
    for number in range(9):
        webhook.commit(subject=str(number))
    webhook.run(30)
    assert [len(digest.sections) for digest in webhook.sink.digests] == [2, 1]
    told = [set(message.tells) for message in webhook.sink.messages if message.tells]
    assert told == [{2, 3, 4, 5}, {6, 7, 8, 9}]
    assert webhook.sink.calls == ["post", "digest", "digest", "post"], "one that is left is told as ever"
    assert all_settled(webhook, 10)


def test_a_doubt_from_before_the_pause_ends_with_the_digest(webhook: Rig) -> None:
    webhook.sink.faults.append("arrived")
    fired = webhook.commit(subject="under way")
    webhook.run(0)
    webhook.away()
    resolve(webhook, fired)
    webhook.commit(subject="new")
    webhook.run(30)
    assert sections(webhook) == {"New": [2], "Resolved meanwhile": [1]}
    assert webhook.row(1).maybe_seen == ()


def test_a_sink_that_takes_no_digests_is_told_each_incident_singly(rig: Rig) -> None:
    rig.sink.digest_lines = 0
    rig.away()
    rig.commit(subject="one")
    rig.commit(subject="two")
    rig.run(60)
    assert rig.sink.calls == ["post", "post"]
    assert rig.said("digest_given_up") == []
