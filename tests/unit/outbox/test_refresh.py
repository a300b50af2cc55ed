"""A destination that forgets is told again of what goes on, for as long as it does."""

from pgvigil.model.delivery import DeliveryFailure
from pgvigil.model.incident import State
from tests.support.outbox import Rig


def test_what_goes_on_is_told_again_every_time_and_what_is_over_is_not(rig: Rig) -> None:
    rig.refresh_s = 60.0
    rig.restart()
    fired = rig.commit()
    rig.run(200)
    assert rig.sink.calls == ["post", "edit", "edit", "edit"]
    rig.commit(fired, state=State.RESOLVED, resolved_at=rig.clock().utc)
    rig.run(10)
    told = len(rig.sink.calls)
    rig.run(300)
    assert len(rig.sink.calls) == told


def test_after_a_restart_it_is_told_at_once(rig: Rig) -> None:
    rig.refresh_s = 60.0
    rig.restart()
    rig.commit()
    rig.run(5)
    rig.restart()
    rig.run(5)
    assert rig.sink.calls == ["post", "edit"]


def test_a_refresh_that_fails_is_tried_again_and_stays_one(rig: Rig) -> None:
    rig.refresh_s = 60.0
    rig.restart()
    rig.commit()
    rig.run(50)
    rig.sink.faults.append(DeliveryFailure.TRANSIENT)
    rig.run(20)
    assert rig.sink.calls == ["post", "edit", "edit"]


def test_other_destinations_are_not_told_again(rig: Rig) -> None:
    rig.commit()
    rig.run(1000)
    assert rig.sink.calls == ["post"]
