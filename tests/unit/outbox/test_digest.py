"""After a pause: one message, each incident in it, and then as if each had been told by itself."""

from datetime import timedelta

import pytest

from pgvigil.model.delivery import DeliveryFailure, DeliveryStatus
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from tests.support.outbox import Rig

CRITICAL, WARNING, INFO = Level.CRITICAL, Level.WARNING, Level.INFO
FIRING, RESOLVED, UNKNOWN = State.FIRING, State.RESOLVED, State.UNKNOWN
SETTLED = DeliveryStatus.SETTLED
DIGEST_1 = "digest 1:1:2026-11-22T20:00:05+00:00"


def posted(rig: Rig, *subjects: str, severity: Level = WARNING) -> list[Incident]:
    """Incidents that were told one by one before the pause."""
    fired = [rig.commit(subject=subject, severity=severity, peak=severity) for subject in subjects]
    rig.run(5)
    return fired


def sections(rig: Rig) -> dict[str, list[int]]:
    """The incidents of the last digest, by section."""
    digest = rig.sink.digests[-1]
    return {section.title: [line.incident.id for line in section.lines] for section in digest.sections}


def resolve(rig: Rig, incident: Incident) -> Incident:
    return rig.commit(incident, state=RESOLVED, resolved_at=rig.clock().utc)


def all_settled(rig: Rig, incidents: int) -> bool:
    return all(rig.row(number).status is SETTLED for number in range(1, incidents + 1))


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


# --- failures ---------------------------------------------------------------------------------------------


def two_new(rig: Rig) -> list[Incident]:
    rig.away()
    return [rig.commit(subject=name) for name in "ab"]


@pytest.mark.parametrize("fault", ["arrived", "bug after"])
def test_a_digest_that_arrived_without_an_answer_is_found(rig: Rig, fault: str) -> None:
    rig.sink.faults.append(fault)
    two_new(rig)
    rig.run(30)
    assert rig.sink.calls == ["digest", "find", "post", "post"]
    assert {root.in_thread_of for root in rig.sink.roots} == {"1"}
    assert rig.record.stats().adopted == 1


def test_a_digest_that_did_not_arrive_is_sent_again_unmarked(rig: Rig) -> None:
    rig.sink.faults.append("lost")
    two_new(rig)
    rig.run(30)
    assert rig.sink.calls == ["digest", "find", "find", "digest", "post", "post"]
    assert [message.marked for message in rig.sink.messages] == [None] * 3


def test_where_nobody_can_look_the_second_is_marked(rig: Rig) -> None:
    rig.sink.can_look = False
    rig.sink.faults.append("arrived")
    two_new(rig)
    sent_at = rig.clock().utc
    rig.run(30)
    digests = [message for message in rig.sink.messages if message.tells]
    assert [message.marked for message in digests] == [None, sent_at]
    assert rig.record.stats().marked == 1
    assert rig.sink.roots[0].in_thread_of == digests[1].ts


def test_what_a_digest_may_have_told_is_never_left_standing(rig: Rig) -> None:
    """It may have told "firing": the next one tells the end, though it was a warning nobody else heard of."""
    rig.sink.can_look = False
    rig.sink.faults.append("arrived")
    for incident in two_new(rig):
        rig.run(0)
        resolve(rig, incident)
    rig.run(30)
    assert sections(rig) == {"Resolved meanwhile": [1, 2]}
    assert len(rig.sink.digests) == 2


def test_of_a_digest_that_may_have_arrived_and_is_not_needed_any_more_the_doubt_remains(rig: Rig) -> None:
    """It may have told "critical", and "resolved": the one is edited, the other taken back."""
    rig.sink.can_look = False
    worse, over = posted(rig, "worse", "over")
    rig.away()
    worse = rig.commit(worse, severity=CRITICAL, peak=CRITICAL)
    over = resolve(rig, over)
    rig.sink.faults.append("arrived")
    rig.run(0)
    rig.commit(worse, "better", severity=WARNING)
    rig.commit(over, state=FIRING, reopened=1)
    rig.run(30)
    assert sorted(rig.sink.calls[2:]) == ["digest", "edit", "edit", "find", "reply reopened"]
    assert [root.level for root in rig.sink.roots] == [WARNING, WARNING]
    assert all_settled(rig, 2)


@pytest.mark.parametrize("fault", [DeliveryFailure.REJECTED, DeliveryFailure.GONE])
def test_a_digest_that_is_refused_gives_way_to_single_messages(rig: Rig, fault: DeliveryFailure) -> None:
    rig.sink.faults.append(fault)
    two_new(rig)
    rig.run(30)
    assert rig.sink.calls == ["digest", "post", "post"]
    assert [root.in_thread_of for root in rig.sink.roots] == [None, None]
    assert [fields["digest"] for fields in rig.said("digest_given_up")] == [1]


def test_a_sink_that_cannot_tell_a_digest_tells_single_messages(rig: Rig) -> None:
    rig.sink.faults.append("bug")
    two_new(rig)
    rig.run(30)
    assert rig.sink.calls == ["digest", "find", "find", "post", "post"]


@pytest.mark.parametrize("fault", [DeliveryFailure.RATE_LIMITED, DeliveryFailure.MISCONFIGURED])
def test_a_destination_that_refuses_everything_hears_a_digest_in_the_end(
    rig: Rig, fault: DeliveryFailure
) -> None:
    rig.sink.faults.extend([fault] * 8)
    two_new(rig)
    rig.run(7200)
    assert rig.sink.calls == [*["digest"] * 9, "post", "post"]


def test_after_an_outage_the_digest_is_current(rig: Rig) -> None:
    rig.sink.faults.extend([DeliveryFailure.TRANSIENT] * 6)
    first, _ = two_new(rig)
    rig.run(30)
    resolve(rig, first)
    rig.commit(subject="c")
    rig.run(120)
    assert sections(rig) == {"New": [2, 3], "Resolved meanwhile": [1]}
    assert rig.sink.calls == [*["digest"] * 7, "post", "post"]


def test_a_digest_that_fails_for_a_quarter_of_an_hour_gives_way(rig: Rig) -> None:
    """Perhaps it is the digest that the destination chokes on: then nothing would ever be heard."""
    rig.sink.faults.extend([DeliveryFailure.TRANSIENT] * 12)
    two_new(rig)
    rig.run(1800)
    assert "digest_given_up" in dict(rig.events)
    assert len(rig.sink.roots) == 2


def test_a_step_of_the_wall_clock_does_not_keep_it_waiting(rig: Rig) -> None:
    rig.sink.faults.extend([DeliveryFailure.TRANSIENT])
    two_new(rig)
    rig.run(0)
    rig.clock.set_wall(timedelta(hours=-1))
    rig.run(10)
    assert rig.sink.calls == ["digest", "digest", "post", "post"]


# --- doubts from before the pause -------------------------------------------------------------------------


def test_a_message_that_was_under_way_at_the_crash_is_found_before_the_digest_is_made(rig: Rig) -> None:
    rig.sink.faults.append("arrived")
    rig.commit(subject="under way")
    rig.run(0)
    rig.away()
    for name in "ab":
        rig.commit(subject=name)
    rig.run(30)
    assert rig.sink.calls == ["post", "find", "digest", "post", "post"]
    assert sections(rig) == {"New": [2, 3], "Still firing": [1]}


def test_a_message_that_nobody_can_look_for_is_told_by_itself_and_marked(rig: Rig) -> None:
    rig.sink.can_look = False
    rig.sink.faults.append("arrived")
    rig.commit(subject="under way")
    rig.run(0)
    rig.away()
    for name in "ab":
        rig.commit(subject=name)
    rig.run(30)
    assert sections(rig) == {"New": [2, 3]}
    mine = [message for message in rig.sink.messages if message.key == "1:1:post"]
    assert [(message.in_thread_of, message.marked is not None) for message in mine] == [
        (None, False),
        (None, True),
    ]


# --- the thread -------------------------------------------------------------------------------------------


def test_a_restart_between_the_digest_and_its_thread_goes_on_there(rig: Rig) -> None:
    two_new(rig)
    rig.run(0)
    assert rig.sink.calls == ["digest"]
    rig.restart()
    rig.run(30)
    assert rig.sink.calls == ["digest", "post", "post"]
    assert {root.in_thread_of for root in rig.sink.roots} == {"1"}


def test_what_ended_before_its_post_in_the_thread_is_told_there(rig: Rig) -> None:
    """The digest said that it fires: its end is told, though nobody else had heard of this warning."""
    first, second = two_new(rig)
    rig.run(0)
    resolve(rig, first)
    rig.commit(second, suppressed_by="INC-9")
    rig.run(30)
    assert rig.sink.calls == ["digest", "post resolved"]
    assert rig.sink.roots[0].in_thread_of == "1"
    assert all_settled(rig, 2)


def test_what_got_worse_before_its_post_in_the_thread_is_heard(rig: Rig) -> None:
    rig.away()
    first, _ = (rig.commit(subject=name, severity=WARNING) for name in "ab")
    rig.run(0)
    rig.commit(first, severity=CRITICAL)
    rig.run(30)
    assert rig.sink.calls == ["digest", "post worse", "post"]


def test_what_a_digest_called_for_is_not_called_for_again_by_the_next(rig: Rig) -> None:
    two_new(rig)
    rig.run(0)
    rig.away(600)
    rig.run(30)
    assert rig.sink.calls == ["digest", "post", "post"]


def test_a_thread_that_people_deleted_is_left(rig: Rig) -> None:
    two_new(rig)
    rig.run(0)
    rig.sink.messages[0].deleted = True
    rig.run(30)
    assert [root.in_thread_of for root in rig.sink.roots] == [None, None]
    assert rig.sink.calls.count("post") == 4


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
