"""What may have arrived: looked for, adopted, or sent again, and marked where nobody can tell."""

import pytest

from pgvigil.model.delivery import DeliveryFailure, DeliveryStatus
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from tests.support.outbox import Rig

CRITICAL, WARNING = Level.CRITICAL, Level.WARNING
SETTLED, AMBIGUOUS = DeliveryStatus.SETTLED, DeliveryStatus.AMBIGUOUS


@pytest.mark.parametrize("fault", ["arrived", "bug after"])
def test_a_message_that_arrived_without_an_answer_is_found_and_adopted(rig: Rig, fault: str) -> None:
    rig.sink.faults.append(fault)
    fired = rig.commit()
    rig.run(0)
    assert rig.row().status is AMBIGUOUS
    rig.run(10)
    assert rig.sink.calls == ["post", "find"]
    assert (rig.row().status, rig.row().remote, rig.row().act_key) == (SETTLED, {"ts": "1"}, None)
    assert (rig.row().seen_state, rig.row().seen_level) == (fired.state, fired.severity)
    assert rig.record.stats().adopted == 1


@pytest.mark.parametrize("fault", ["lost", "bug"])
def test_a_message_that_is_not_found_twice_is_sent_again_unmarked(rig: Rig, fault: str) -> None:
    rig.sink.faults.append(fault)
    rig.commit()
    rig.run(1.5)
    assert rig.sink.calls == ["post", "find"]
    rig.run(1.4)
    assert rig.sink.calls == ["post", "find"], "the second look is two seconds after the first"
    rig.run(10)
    assert rig.sink.calls == ["post", "find", "find", "post"]
    assert [message.marked for message in rig.sink.messages] == [None]
    assert rig.row().status is SETTLED


def test_others_are_served_between_the_two_looks(rig: Rig) -> None:
    rig.sink.faults.append("lost")
    rig.commit(severity=CRITICAL)
    rig.run(1)
    rig.commit(severity=WARNING, subject="another")
    rig.run(10)
    assert rig.sink.calls == ["post", "find", "post", "find", "post"]


def test_what_changed_while_it_was_in_doubt_is_told_after_it_was_found(rig: Rig) -> None:
    """The adopted message tells version 1; people still hear of what came after."""
    rig.sink.faults.append("arrived")
    fired = rig.commit(severity=WARNING)
    rig.run(0)
    worse = rig.commit(fired, severity=CRITICAL)
    rig.commit(worse, state=State.RESOLVED)
    rig.run(10)
    assert rig.sink.calls == ["post", "find", "edit", "reply resolved"]
    (root,) = rig.sink.roots
    assert (root.version, root.state) == (3, State.RESOLVED)


def test_where_nobody_can_look_it_is_sent_again_and_marked(rig: Rig) -> None:
    rig.sink.can_look = False
    rig.sink.faults.append("arrived")
    rig.commit()
    sent_at = rig.clock().utc
    rig.run(10)
    assert rig.sink.calls == ["post", "find", "post"]
    assert [message.marked for message in rig.sink.messages] == [None, sent_at]
    assert rig.row().status is SETTLED
    assert rig.record.stats().marked == 1


def test_a_mark_survives_the_failures_of_the_call_that_bears_it(rig: Rig) -> None:
    """The second call surely failed, the first is still in doubt: the third must be marked as well."""
    rig.sink.can_look = False
    rig.sink.faults.extend(
        ["arrived", DeliveryFailure.TRANSIENT, DeliveryFailure.RATE_LIMITED, DeliveryFailure.MISCONFIGURED]
    )
    rig.commit()
    sent_at = rig.clock().utc
    rig.run(300)
    assert [message.marked for message in rig.sink.messages] == [None, sent_at]


def test_an_end_is_told_though_nobody_knows_whether_the_beginning_was(rig: Rig) -> None:
    rig.sink.can_look = False
    rig.sink.faults.append("arrived")
    fired = rig.commit(severity=WARNING, peak=WARNING)
    rig.run(0)
    rig.commit(fired, state=State.RESOLVED)
    rig.run(10)
    assert [(root.state, root.marked is None) for root in rig.sink.roots] == [
        (State.FIRING, True),
        (State.RESOLVED, False),
    ]


def test_a_webhook_that_never_answers_is_not_flooded(rig: Rig) -> None:
    rig.sink.can_look = rig.sink.can_edit = rig.sink.can_reply = False
    rig.sink.faults.extend(["arrived"] * 100)
    rig.commit()
    rig.run(600)
    assert len(rig.sink.messages) <= 11
    assert all(message.marked for message in rig.sink.messages[1:])


@pytest.mark.parametrize(
    "fault",
    [
        DeliveryFailure.TRANSIENT,
        DeliveryFailure.AMBIGUOUS,
        DeliveryFailure.GONE,
        DeliveryFailure.RATE_LIMITED,
    ],
)
def test_a_search_that_fails_is_repeated_before_anything_is_sent(rig: Rig, fault: DeliveryFailure) -> None:
    rig.sink.faults.append("arrived")
    rig.sink.look_faults.extend([fault] * 3)
    rig.commit()
    rig.run(120)
    assert rig.sink.calls == ["post", "find", "find", "find", "find"]
    assert len(rig.sink.messages) == 1
    assert rig.row().status is SETTLED


@pytest.mark.parametrize("fault", [DeliveryFailure.REJECTED, "bug"])
def test_a_search_that_cannot_work_is_as_good_as_none(rig: Rig, fault: DeliveryFailure | str) -> None:
    rig.sink.faults.append("arrived")
    rig.sink.look_faults.append(fault)
    rig.commit()
    rig.run(120)
    assert [message.marked is None for message in rig.sink.messages] == [True, False]


def test_an_edit_without_an_answer_is_just_repeated(rig: Rig) -> None:
    fired = rig.commit()
    rig.run(2)
    rig.sink.faults.append("arrived")
    rig.commit(fired)
    rig.run(10)
    assert rig.sink.calls == ["post", "edit", "edit"]
    assert rig.record.stats().marked == 0


def test_a_reply_in_doubt_is_looked_for_and_its_edit_is_not_repeated(rig: Rig) -> None:
    fired = rig.commit()
    rig.run(2)
    rig.sink.faults.extend([None, "arrived"])
    rig.commit(fired, state=State.RESOLVED)
    rig.run(10)
    assert rig.sink.calls == ["post", "edit", "reply resolved", "find"]
    assert len(rig.sink.replies) == 1
    assert (rig.row().status, rig.row().remote, rig.row().seen_state) == (
        SETTLED,
        {"ts": "1"},
        State.RESOLVED,
    )
