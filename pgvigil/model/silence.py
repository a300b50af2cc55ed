"""Disturb nobody with what matches."""

from dataclasses import dataclass
from datetime import datetime

from pgvigil.model.incident import Incident
from pgvigil.model.level import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """`match` has a key and a pattern each: of one key any may match, of different keys all must. `id` is 0 until the
    store has given one; people see it as `SIL-3`.

    `episodes` names the only episodes that it is about, where it ends with them (see `episode`); `worst` is the
    severity up to which it holds. `matched_at` is when it first kept something quiet. `mark` names
    the mark in a target that it holds for, until that is gone.
    """

    id: int
    match: tuple[tuple[str, str], ...]
    author: str
    reason: str
    created_at: datetime
    ends_at: datetime
    until_resolved: bool = False
    episodes: frozenset[str] = frozenset()
    worst: Level | None = None
    matched_at: datetime | None = None
    expired_by: str | None = None
    expired_at: datetime | None = None
    mark: str | None = None

    @property
    def name(self) -> str:
        return f"SIL-{self.id}"

    def active(self, now: datetime) -> bool:
        return self.expired_by is None and now < self.ends_at


def episode(incident: Incident) -> str:
    """One time that the incident lasted: reopened it is another one."""
    return f"{incident.id}:{incident.reopened}"
