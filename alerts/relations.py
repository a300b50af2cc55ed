"""How incidents hang together by the configuration: what is told as one, and what keeps what quiet. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from alerts.routes import Pairs, fits, named
from pgvigil.model.incident import Incident, State
from pgvigil.model.together import Together

_FIRES = frozenset({State.FIRING, State.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Incidents of one target that match, and have the same values of `by`, are told as one."""

    match: Pairs
    by: tuple[str, ...]
    together: Together

    def values(self, incident: Incident) -> tuple[str, ...]:
        known = named(incident)
        return tuple(known.get(key, "") for key in self.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """While one that matches `source` fires, those that match `match` and have the same values of `equal` are its
    children.
    """

    source: Pairs
    match: Pairs
    equal: tuple[str, ...]

    def holds(self, source: Incident, incident: Incident) -> bool:
        its, own = named(source), named(incident)
        alike = all(its.get(key, "") == own.get(key, "") for key in self.equal)
        return alike and fits(self.source, its) and fits(self.match, own)


@dataclass(frozen=True, slots=True)
class Relations:
    """All of the configuration; the first grouping that fits decides."""

    groupings: tuple[Grouping, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()

    def grouping(self, incident: Incident) -> Grouping | None:
        if not self.groupings:
            return None
        values = named(incident)
        return next((one for one in self.groupings if fits(one.match, values)), None)

    def may_inhibit(self, incident: Incident) -> bool:
        """Whether it is a source of any, so that other targets are to know of it."""
        if not self.inhibitions:
            return False
        values = named(incident)
        return any(fits(one.source, values) for one in self.inhibitions)

    def holds(self, source: Incident | None, incident: Incident) -> bool:
        """Whether `source` fires, may be heard of, and keeps the other one quiet."""
        if source is None or source.state not in _FIRES or source.silenced_by:
            return False
        if source.fingerprint == incident.fingerprint:
            return False
        return any(one.holds(source, incident) for one in self.inhibitions)

    def inhibitor(self, incident: Incident, sources: Iterable[Incident]) -> Incident | None:
        """The oldest that keeps it quiet. One that is kept quiet itself, or silenced, does not."""
        heard = (one for one in sources if not one.parent_id and self.holds(one, incident))
        return min(heard, key=lambda one: (one.id == 0, one.id, one.fingerprint), default=None)


NO_RELATIONS = Relations()
