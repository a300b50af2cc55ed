"""What becomes of a digest when calls fail, when it may have arrived, and when the process ends."""

from datetime import timedelta

import pytest

from pgvigil.model.delivery import DeliveryFailure
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from tests.support.outbox import Rig
from tests.unit.outbox.pauses import all_settled, posted, resolve, sections, two_new

CRITICAL, WARNING = Level.CRITICAL, Level.WARNING
FIRING, RESOLVED = State.FIRING, State.RESOLVED


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
