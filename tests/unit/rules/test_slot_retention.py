"""slot_retention: the limit that it advises costs no other slot."""

from alerts.rules.slot_retention import RULE
from collectors.replication_slots import Slot, SlotsReading
from tests.support.readings import context, snapshot

GIB = 1024**3


def slot(name: str, retained: int) -> Slot:
    return Slot(
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


def test_the_advised_limit_is_beyond_what_any_slot_holds() -> None:
    slots = (slot("here", 30 * GIB), slot("there", 60 * GIB))
    reading = SlotsReading(slots=slots, in_recovery=False, keep_bytes=None)
    judged = RULE.evaluate(snapshot(reading, "replication_slots"), RULE.params(), context())
    commands = {step.sql for finding in judged.findings for step in finding.steps}
    assert "ALTER SYSTEM SET max_slot_wal_keep_size = '66GB'" in commands
