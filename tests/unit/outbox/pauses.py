"""What tests of digests do and look at."""

from pgvigil.model.delivery import DeliveryStatus
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from tests.support.outbox import Rig


def posted(rig: Rig, *subjects: str, severity: Level = Level.WARNING) -> list[Incident]:
    """Incidents that were told one by one before the pause."""
    fired = [rig.commit(subject=subject, severity=severity, peak=severity) for subject in subjects]
    rig.run(5)
    return fired


def sections(rig: Rig) -> dict[str, list[int]]:
    """The incidents of the last digest, by section."""
    digest = rig.sink.digests[-1]
    return {section.title: [line.incident.id for line in section.lines] for section in digest.sections}


def resolve(rig: Rig, incident: Incident) -> Incident:
    return rig.commit(incident, state=State.RESOLVED, resolved_at=rig.clock().utc)


def all_settled(rig: Rig, incidents: int) -> bool:
    return all(rig.row(number).status is DeliveryStatus.SETTLED for number in range(1, incidents + 1))


def two_new(rig: Rig) -> list[Incident]:
    """What a start after a pause finds: two that nobody has heard of."""
    rig.away()
    return [rig.commit(subject=name) for name in "ab"]
