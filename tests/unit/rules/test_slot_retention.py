"""slot_retention: the limit that it advises costs no other slot; a limit of 0 is a limit."""

from typing import Any

import pytest

from alerts.rules import slot_inactive
from alerts.rules._volume import VOLUME, filled_by
from alerts.rules.slot_retention import RULE
from collectors.replication_slots import Slot, SlotsReading
from pgvigil.model.level import Level
from tests.support.readings import context, snapshot

GIB = 1024**3


def slot(name: str, retained: int, **different: Any) -> Slot:
    plain = Slot(
        name=name,
        kind="physical",
        plugin=None,
        database=None,
        temporary=False,
        active=False,
        xmin_age=None,
        catalog_xmin_age=None,
        retained_bytes=retained,
        unconfirmed_bytes=None,
        wal_status="extended",
        safe_bytes=None,
        invalidation_reason=None,
        inactive_s=None,
        synced=False,
        created="",
    )
    return plain._replace(**different)


def test_the_advised_limit_is_beyond_what_any_slot_holds() -> None:
    slots = (slot("here", 30 * GIB), slot("there", 60 * GIB))
    reading = SlotsReading(slots=slots, in_recovery=False, keep_bytes=None)
    judged = RULE.evaluate(snapshot(reading, "replication_slots"), RULE.params(), context())
    commands = {step.sql for finding in judged.findings for step in finding.steps}
    assert "ALTER SYSTEM SET max_slot_wal_keep_size = '66GB'" in commands


def test_a_limit_of_0_keeps_what_the_server_promises_and_no_more() -> None:
    """6 GB held of the 8 GB that wal_keep_size keeps: it loses its log, the volume does not fill."""
    held = slot("here", 6 * GIB, safe_bytes=2 * GIB)
    reading = SlotsReading(slots=(held,), in_recovery=False, keep_bytes=0)
    judged = RULE.evaluate(
        snapshot(reading, "replication_slots"), RULE.params(), context(disk_size_bytes=100.0 * GIB)
    )
    (finding,) = judged.findings
    assert ": 75 % of what max_slot_wal_keep_size = 0 leaves it" in finding.summary
    assert "the server removes the log" in finding.evidence.impact
    assert not any("ALTER SYSTEM" in (step.sql or "") for step in finding.steps)


def test_an_unused_slot_under_a_limit_of_0_is_judged_by_that_and_not_by_the_disk() -> None:
    held = slot("here", GIB // 64, safe_bytes=GIB // 64)
    reading = SlotsReading(slots=(held,), in_recovery=False, keep_bytes=0)
    judged = slot_inactive.RULE.evaluate(
        snapshot(reading, "replication_slots"),
        slot_inactive.RULE.params(),
        context(disk_size_bytes=100.0 * GIB),
    )
    assert [finding.level for finding in judged.findings] == [Level.WARNING]


def test_a_slot_with_a_limit_of_its_own_is_no_part_of_a_full_disk() -> None:
    """It is given up at its limit, whatever room there is: another fault than the disk's."""
    about = {
        keep: RULE.evaluate(
            snapshot(
                SlotsReading(slots=(slot("here", 45 * GIB),), in_recovery=False, keep_bytes=keep),
                "replication_slots",
            ),
            RULE.params(),
            context(),
        )
        .findings[0]
        .about
        for keep in (None, 50 * GIB)
    }
    assert about == {None: {"slot here", VOLUME}, 50 * GIB: {"slot here"}}


@pytest.mark.parametrize(("level", "explains"), [(Level.WARNING, set()), (Level.CRITICAL, {VOLUME})], ids=str)
def test_a_disk_explains_what_fills_it_only_when_it_is_critical(level: Level, explains: set[str]) -> None:
    """A warning must not swallow an archive that has failed for a night."""
    assert filled_by(level) == explains
