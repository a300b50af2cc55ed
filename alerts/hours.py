"""When what is told may wait. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.model.schedule import FAR_S, Schedule, merged_until


@dataclass(frozen=True, slots=True)
class Quiet:
    """Times in which incidents that were never as bad as `below` wait to be told; None: all of them."""

    schedule: Schedule
    below: Level | None = None

    def concerns(self, incident: Incident) -> bool:
        return self.below is None or incident.peak < self.below

    def __str__(self) -> str:
        told = "" if self.below is None else f", but for {self.below.word}"
        return f"{self.schedule}{told}"


def quiet_until(quiets: Iterable[Quiet], incident: Incident, now: datetime) -> datetime | None:
    """When it may be told; None where that is now."""
    return merged_until((quiet.schedule for quiet in quiets if quiet.concerns(incident)), now)


def always(quiets: Iterable[Quiet], now: datetime) -> bool:
    """Whether these times leave none in which anything is told."""
    until = merged_until((quiet.schedule for quiet in quiets if quiet.below is None), now)
    return until is not None and until - now > timedelta(seconds=FAR_S)
