"""Every failure of a destination, of the store and of the process: nothing lost, no unmarked duplicate."""

from datetime import timedelta
from itertools import pairwise

from alerts.outbox.record import LATENCY_BOUNDS_S
from pgvigil.model.delivery import DeliveryFailure, DeliveryStatus
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from tests.support.outbox import Rig

CRITICAL, WARNING = Level.CRITICAL, Level.WARNING
DUE, SETTLED, PARKED, AMBIGUOUS = (
    DeliveryStatus.DUE,
    DeliveryStatus.SETTLED,
    DeliveryStatus.PARKED,
    DeliveryStatus.AMBIGUOUS,
)


def test_an_incident_is_posted_edited_and_resolved(rig: Rig) -> None:
    fired = rig.commit(severity=WARNING)
    rig.run(5)
    refreshed = rig.commit(fired, "refreshed", summary="24 sessions")
    rig.run(5)
    worse = rig.commit(refreshed, severity=CRITICAL)
    rig.run(5)
    rig.commit(worse, state=State.RESOLVED, resolved_at=rig.clock().utc)
    rig.run(5)
    assert rig.sink.calls == ["post", "edit", "edit", "reply worse", "edit", "reply resolved"]
    (root,) = rig.sink.roots
    assert (root.version, root.state) == (4, State.RESOLVED)
    assert [(reply.told, reply.under) for reply in rig.sink.replies] == [("worse", "1"), ("resolved", "1")]
    assert (rig.row().status, rig.row().seen_version, rig.row().remote) == (SETTLED, 4, {"ts": "1"})
    assert rig.record.stats().delivered == 4
    assert rig.record.stats().outcomes["ok"] == 6
    assert [fields["acts"] for fields in rig.said("delivered")][2:] == [
        ["edit", "worse"],
        ["edit", "resolved"],
    ]


def test_versions_that_nobody_was_told_in_time_become_one_message(rig: Rig) -> None:
    fired = rig.commit(severity=WARNING)
    for _ in range(5):
        fired = rig.commit(fired, severity=CRITICAL)
    rig.run(5)
    assert rig.sink.calls == ["post"]
    assert rig.sink.roots[0].version == 6


def test_what_ended_before_anybody_heard_is_told_only_when_it_was_critical(rig: Rig) -> None:
    for severity in (WARNING, CRITICAL):
        fired = rig.commit(severity=severity, peak=severity, subject=severity.word)
        rig.commit(fired, state=State.RESOLVED)
    rig.run(5)
    assert [(root.key, root.state) for root in rig.sink.roots] == [("2:2:post", State.RESOLVED)]
    assert {rig.row(1).status, rig.row(2).status} == {SETTLED}
    assert rig.record.stats().dropped == {"over": 1}
    assert [fields["incident"] for fields in rig.said("delivery_dropped")] == ["INC-1"]


def test_what_was_silenced_from_beginning_to_end_is_not_dropped(rig: Rig) -> None:
    fired = rig.commit(severity=WARNING, peak=WARNING, silenced_by="SIL-1")
    rig.commit(fired, state=State.RESOLVED)
    rig.run(5)
    assert (rig.sink.calls, rig.record.stats().dropped) == ([], {"over": 0})


def test_the_latency_is_from_the_reading_to_the_yes_of_what_people_hear(rig: Rig) -> None:
    fired = rig.commit(severity=WARNING)
    rig.clock.pass_time(40.0)
    rig.run(5)
    rig.commit(fired, "refreshed", summary="24 sessions")  # edited in place: nobody is called
    rig.run(5)
    latency = rig.record.stats().latency
    assert (sum(latency.counts), latency.counts[LATENCY_BOUNDS_S.index(60.0)]) == (1, 1)
    assert latency.sum_s >= 40.0


def test_the_most_urgent_goes_first_and_calls_are_paced(rig: Rig) -> None:
    for severity in (WARNING, CRITICAL, WARNING, CRITICAL):
        rig.commit(severity=severity, subject=f"{severity.word} {len(rig.store.incidents.list())}")
    rig.run(0)
    assert [root.key for root in rig.sink.roots] == ["2:1:post"]
    rig.run(2.5)
    assert [root.key for root in rig.sink.roots] == ["2:1:post", "4:1:post", "1:1:post"]


# --- failures ---------------------------------------------------------------------------------------------


def test_a_rate_limit_is_waited_out_by_the_whole_destination_and_is_no_attempt(rig: Rig) -> None:
    rig.sink.retry_after_s = 30
    rig.sink.faults.append(DeliveryFailure.RATE_LIMITED)
    rig.commit(severity=WARNING)
    rig.run(5)
    rig.commit(severity=CRITICAL, subject="another")
    rig.run(25)
    assert rig.sink.calls == ["post"]
    assert rig.row().attempts == 0
    rig.run(5)
    assert [root.key for root in rig.sink.roots] == ["2:1:post", "1:1:post"]
    assert rig.record.stats().outcomes["rate_limited"] == 1


def test_a_transient_failure_is_tried_again_later_and_later_up_to_five_minutes(rig: Rig) -> None:
    rig.sink.faults.extend([DeliveryFailure.TRANSIENT] * 12)
    rig.commit()
    waits = []
    for _ in range(12):
        rig.run(0)
        not_before = rig.row().not_before
        assert not_before is not None
        waits.append(round((not_before - rig.clock().utc).total_seconds()))
        rig.clock.pass_time(waits[-1] + 1)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    rig.run(0)
    assert len(rig.sink.messages) == 1
    assert rig.sink.messages[0].marked is None
    assert rig.record.stats().retries == 12


def test_one_that_fails_does_not_keep_the_others_waiting(rig: Rig) -> None:
    rig.sink.faults.extend([DeliveryFailure.TRANSIENT] * 2)
    rig.commit(severity=CRITICAL)
    rig.commit(severity=WARNING, subject="another")
    rig.run(2)
    assert [root.key for root in rig.sink.roots] == ["2:1:post"]


def test_after_an_outage_nothing_waits_for_its_own_back_off(rig: Rig) -> None:
    for number in range(5):
        rig.commit(subject=str(number))
    rig.sink.faults.extend([DeliveryFailure.TRANSIENT] * 40)
    rig.run(3600)
    rig.sink.faults.clear()
    rig.run(300)
    posted_at = [fields["waited_s"] for fields in rig.said("delivered")]
    assert len(posted_at) == 5
    assert posted_at[-1] - posted_at[0] <= 5
    assert len(rig.said("sink_recovered")) == 1


def test_a_content_that_is_refused_waits_for_the_next_version(rig: Rig) -> None:
    rig.sink.faults.append(DeliveryFailure.REJECTED)
    fired = rig.commit()
    rig.run(1000)
    assert rig.sink.calls == ["post"]
    assert (rig.row().status, rig.row().last_error) == (PARKED, "faked: rejected")
    assert rig.record.stats().outcomes["rejected"] == 1
    rig.commit(fired)
    rig.run(5)
    assert rig.sink.calls == ["post", "post"]
    assert rig.row().status is SETTLED


def test_a_destination_that_people_must_mend_is_said_once_and_tried_slowly(rig: Rig) -> None:
    """One call at a time, however much is waiting; and all of it goes out when it works again."""
    rig.storm_at = 0
    rig.restart()
    rig.sink.faults.extend([DeliveryFailure.MISCONFIGURED] * 6)
    for number in range(10):
        rig.commit(subject=str(number))
    began = rig.clock().mono_s
    rig.run(0)
    called_at = [0]
    while len(rig.sink.calls) < 6:
        calls = len(rig.sink.calls)
        rig.run(1)
        if len(rig.sink.calls) > calls:
            called_at.append(round(rig.clock().mono_s - began))
    assert [later - sooner for sooner, later in pairwise(called_at)] == [
        60,
        120,
        240,
        480,
        600,
    ]
    assert rig.row().status is PARKED
    assert len(rig.said("sink_misconfigured")) == 1
    rig.run(620)
    assert len(rig.sink.roots) == 10
    assert len(rig.said("sink_recovered")) == 1


def test_a_deleted_message_is_posted_anew_and_the_thread_goes_on_there(rig: Rig) -> None:
    fired = rig.commit(severity=WARNING)
    rig.run(2)
    rig.sink.messages[0].deleted = True
    again = rig.commit(fired)
    rig.run(5)
    rig.commit(again, state=State.RESOLVED)
    rig.run(5)
    assert rig.sink.calls == ["post", "edit", "post", "edit", "reply resolved"]
    assert [(reply.told, reply.under) for reply in rig.sink.replies] == [("resolved", "2")]


def test_a_destination_that_calls_a_new_message_gone_is_not_flooded(rig: Rig) -> None:
    rig.sink.faults.extend([DeliveryFailure.GONE] * 100)
    rig.commit()
    rig.run(60)
    assert len(rig.sink.calls) < 10


def test_a_sink_that_throws_does_not_stop_the_others(rig: Rig) -> None:
    rig.sink.faults.append("bug")
    rig.commit(severity=CRITICAL)
    rig.commit(severity=WARNING, subject="another")
    rig.run(2)
    assert [root.key for root in rig.sink.roots] == ["2:1:post"]
    assert rig.record.stats().outcomes["bug"] == 1
    assert [fields["error"] for fields in rig.said("sink_bug")] == ["KeyError"]


def test_a_suppressed_incident_is_settled_without_a_word_and_edited_if_it_was_posted(rig: Rig) -> None:
    posted = rig.commit(subject="posted")
    rig.run(2)
    rig.commit(subject="new", suppressed_by="INC-9")
    rig.commit(posted, state=State.UNKNOWN, suppressed_by="INC-9")
    rig.run(5)
    assert rig.sink.calls == ["post", "edit"]
    assert rig.row(2).status is SETTLED


def test_a_step_of_the_wall_clock_neither_delays_nor_floods(rig: Rig) -> None:
    rig.sink.faults.append(DeliveryFailure.TRANSIENT)
    rig.commit()
    rig.run(0)
    rig.clock.set_wall(timedelta(hours=-1))
    rig.run(5)
    assert rig.sink.calls == ["post", "post"]
    rig.sink.retry_after_s = 30
    rig.sink.faults.append(DeliveryFailure.RATE_LIMITED)
    rig.commit(subject="another")
    rig.run(5)
    rig.clock.set_wall(timedelta(hours=2))
    rig.run(20)
    assert len(rig.sink.calls) == 3
