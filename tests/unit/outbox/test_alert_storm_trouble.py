"""A storm is told once and completely, whatever fails meanwhile."""

from datetime import timedelta

import pytest

from pgvigil.model.delivery import DeliveryFailure, DeliveryStatus
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.store import Store
from tests.support.outbox import Rig
from tests.unit.outbox.storms import begin, blow, title


def test_a_restart_goes_on_with_it(rig: Rig) -> None:
    blow(rig, 10)
    rig.run(5)
    rig.restart()
    blow(rig, 2)
    rig.run(20)
    assert len(rig.sink.in_channel) == 1
    assert title(rig).startswith("Alert storm: 12 incidents")


def test_one_that_was_being_told_when_the_process_died_is_looked_for(rig: Rig) -> None:
    blow(rig, 10)
    rig.sink.faults.append("arrived")
    rig.run(0)
    rig.restart()
    rig.run(10)
    blow(rig, 2)
    rig.run(20)
    assert len(rig.sink.in_channel) == 1
    assert title(rig).startswith("Alert storm: 12 incidents")


def test_an_edit_that_fails_is_tried_again(rig: Rig) -> None:
    blow(rig, 10)
    rig.run(5)
    rig.sink.faults += [DeliveryFailure.TRANSIENT, DeliveryFailure.RATE_LIMITED, DeliveryFailure.AMBIGUOUS]
    blow(rig, 2)
    rig.run(120)
    assert title(rig).startswith("Alert storm: 12 incidents")
    assert rig.row(12).status is DeliveryStatus.SETTLED


@pytest.mark.parametrize("fault", [DeliveryFailure.REJECTED, "bug"])
def test_a_message_that_cannot_be_edited_ends_it_and_is_not_begun_again_at_once(
    rig: Rig, fault: DeliveryFailure | str
) -> None:
    blow(rig, 10)
    rig.run(5)
    rig.sink.faults.append(fault)
    begin(rig)
    rig.run(60)
    assert rig.store.storms.get("oncall") is None
    assert rig.sink.calls.count("digest") == 1
    assert sorted(message.incident for message in rig.sink.roots) == list(range(1, 12))


def test_when_people_deleted_the_message_its_incidents_are_told_when_they_change(rig: Rig) -> None:
    """As with a message of one incident: nobody is flooded because somebody tidied up."""
    fired = blow(rig, 10)
    rig.run(70)
    rig.sink.messages[0].deleted = True
    begin(rig)
    rig.run(60)
    assert [message.incident for message in rig.sink.roots] == [11]
    rig.commit(fired[4], severity=Level.CRITICAL, peak=Level.CRITICAL)
    rig.commit(fired[5], summary="goes on")
    rig.run(60)
    assert [message.incident for message in rig.sink.roots] == [11, 5, 6]


def test_a_digest_that_is_refused_is_told_one_by_one_and_not_tried_again_at_once(rig: Rig) -> None:
    rig.sink.faults.append(DeliveryFailure.REJECTED)
    blow(rig, 12)
    rig.run(60)
    assert rig.sink.calls.count("digest") == 1
    assert len(rig.sink.roots) == 12


def test_a_pause_in_a_storm_is_told_and_the_storm_has_its_end(rig: Rig) -> None:
    blow(rig, 10)
    rig.run(5)
    rig.away(600)
    blow(rig, 2)
    rig.run(400)
    titles = [digest.title for digest in rig.sink.digests]
    assert "pgvigil was away for 10m" in titles[1]
    assert titles[-1].startswith("Alert storm over: 1")
    assert rig.store.storms.get("oncall") is None
    assert {rig.row(number).seen_state for number in range(1, 13)} == {State.FIRING}


def test_a_clock_that_is_set_back_holds_it_up_for_no_longer_than_once(rig: Rig) -> None:
    blow(rig, 10)
    rig.run(5)
    rig.clock.set_wall(timedelta(hours=-3))
    begin(rig)
    rig.run(40)
    assert rig.row(11).seen_state is State.FIRING


def test_none_where_it_is_switched_off(store: Store) -> None:
    rig = Rig(store, storm_at=0)
    blow(rig, 20)
    rig.run(60)
    assert rig.sink.digests == []
