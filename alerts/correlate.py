"""One fault, one incident: which incident explains a finding. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any

from alerts.tracked import new
from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.plugins import Rule

_ABSORBING = frozenset({State.FIRING, State.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Family:
    """How the rules of one target relate.

    `absorbs` is closed over itself: a chain absorbs idle_in_transaction and that absorbs long_transaction,
    so the chain absorbs both, and what it explains has one ancestor. `rank` puts who absorbs before who is
    absorbed, and who suppresses the whole target before all.
    """

    absorbs: Mapping[str, frozenset[str]]
    rank: Mapping[str, int]
    lingering: frozenset[str]
    over_all: frozenset[str]  # the rules that suppress the whole target


def family(rules: Mapping[str, Rule[Any]]) -> Family:
    """Raises graphlib.CycleError when rules absorb each other in a circle."""
    known = {name: rule.absorbs & rules.keys() for name, rule in rules.items()}
    absorbed_first = list(TopologicalSorter(known).static_order())
    closed: dict[str, frozenset[str]] = {}
    for name in absorbed_first:
        closed[name] = known[name].union(*(closed[below] for below in known[name]))
    over_all = frozenset(name for name, rule in rules.items() if rule.suppresses_target)
    absorbing_first = absorbed_first[::-1]
    ranked = sorted(absorbing_first, key=lambda name: name not in over_all)
    return Family(
        absorbs=closed,
        rank={name: place for place, name in enumerate(ranked)},
        lingering=frozenset(name for name, rule in rules.items() if rule.linger),
        over_all=over_all,
    )


class Explainers:
    """The incidents that explain something, by the entities that they explain.

    Only incidents that fire, or did until we lost sight of them, explain: a pending one may come to nothing,
    and would have silenced what is real. One that has ended explains, if its rule lingers, what was measured
    from before its end on: the waiters of a row lock reach pg_stat_statements only when they are let go.

    What no incident of the target explains, one `elsewhere` may: of another target, firing or ended so lately that
    what is seen now is still its aftermath.
    """

    def __init__(
        self, family: Family, incidents: Iterable[Incident], elsewhere: Iterable[Incident] = ()
    ) -> None:
        self._family = family
        self._here = self._by_entity(incidents)
        self._elsewhere = self._by_entity(elsewhere)

    def of_finding(self, finding: Finding) -> Incident | None:
        """The incident that what is seen now belongs to: the topmost, then oldest."""
        here = self._candidates(self._here, finding.rule, finding.about)
        still = [incident for incident in here if _still(incident, finding.measured_from)]
        return self._first(still or self._candidates(self._elsewhere, finding.rule, finding.about))

    def of_incident(self, incident: Incident) -> Incident | None:
        """The same of what was seen before: only one that has not ended."""
        for where in (self._here, self._elsewhere):
            candidates = self._candidates(where, incident.rule, incident.about)
            lasting = self._first(one for one in candidates if one.resolved_at is None)
            if lasting is not None:
                return lasting
        return None

    def _by_entity(self, incidents: Iterable[Incident]) -> dict[str, list[Incident]]:
        found: dict[str, list[Incident]] = {}
        for incident in incidents:
            if self._explains(incident):
                for entity in incident.explains:
                    found.setdefault(entity, []).append(incident)
        return found

    def _explains(self, incident: Incident) -> bool:
        if incident.state in _ABSORBING:
            return bool(self._family.absorbs.get(incident.rule))
        ended = incident.state is State.RESOLVED and incident.fired_at is not None
        return ended and incident.rule in self._family.lingering

    def _candidates(
        self, where: Mapping[str, list[Incident]], rule: str, about: frozenset[str]
    ) -> list[Incident]:
        return [
            incident
            for entity in about
            for incident in where.get(entity, ())
            if rule in self._family.absorbs.get(incident.rule, ())
        ]

    def _first(self, candidates: Iterable[Incident]) -> Incident | None:
        return min(candidates, key=self._precedence, default=None)

    def _precedence(self, incident: Incident) -> tuple[bool, int, bool, int]:
        """One that lasts before one that ended; a new one (id 0) after the old of its kind."""
        return not incident.open, self._family.rank[incident.rule], incident.id == 0, incident.id


def explanations(family: Family, findings: Iterable[Finding], moment: Moment) -> dict[str, Finding]:
    """Of what is seen at one moment, without any history: by fingerprint, the finding that explains it."""
    by_fingerprint = {finding.fingerprint: finding for finding in findings if finding.level > Level.HOLD}
    explainers = Explainers(
        family,
        [
            replace(new(finding, moment, ()), state=State.FIRING, fired_at=moment.utc)
            for finding in by_fingerprint.values()
        ],
    )
    explained = {}
    for key, finding in by_fingerprint.items():
        incident = explainers.of_finding(finding)
        if incident is not None:
            explained[key] = by_fingerprint[incident.fingerprint]
    return explained


def _still(incident: Incident, measured_from: datetime | None) -> bool:
    if incident.resolved_at is None:
        return True
    return measured_from is not None and measured_from <= incident.resolved_at
