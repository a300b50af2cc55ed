"""What tests of alert storms do and look at."""

from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from tests.support.outbox import Rig

QUIET_S = 300.0


def blow(rig: Rig, count: int, level: Level = Level.WARNING, **named: str) -> list[Incident]:
    """So many incidents begin to fire now."""
    return [begin(rig, level=level, **named) for _ in range(count)]


def begin(rig: Rig, level: Level = Level.WARNING, mention: str = "", **changes: object) -> Incident:
    number = len(rig.store.incidents.list(limit=None))
    now = rig.clock().utc
    given = {"subject": f"thing {number}", "severity": level, "peak": level, "fired_at": now} | changes
    return rig.commit(None, "fired", mention, **{"pending_since": now, **given})


def title(rig: Rig) -> str:
    return rig.sink.digests[-1].title


def keys(rig: Rig) -> list[str]:
    """What stands in the channel itself."""
    return [key if key.startswith("digest") else key.split(":")[0] for key in rig.sink.in_channel]
