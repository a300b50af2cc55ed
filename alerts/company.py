"""Incidents that began together: one of them is told, and leads the others. Pure."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerts.bound import BoundRule
from alerts.relations import Relations
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.model.together import Together
from pgvigil.units import format_duration

REST = timedelta(seconds=120)  # two readings of the statements: what began together mostly ends so


class Kin(NamedTuple):
    """Those of one kind and `key` may be told as one."""

    kind: Together
    key: Hashable


def described(kind: Together) -> str:
    """When incidents of that kind are told as one: half a sentence."""
    where = "in one database" if kind.in_one_database else "on one target"
    share = kind.least_share_percent
    or_two = "" if share is None else f" (or two that take {share:g} % of the server's time)"
    return f"{kind.least} or more{or_two} that begin within {format_duration(kind.within_s)} {where}: a {kind.name}"


KinOf = Callable[[Incident], Kin | None]


HeardBy = Callable[[Incident], Hashable]


def all_alike(_incident: Incident) -> Hashable:
    """The same people hear of everything."""
    return None


class Kinship:
    """Of one evaluation. Those that the same people hear of, so that nobody is left out by what others are told."""

    def __init__(self, rules: Mapping[str, BoundRule], relations: Relations, heard_by: HeardBy) -> None:
        self._rules = rules
        self._relations = relations
        self._heard_by = heard_by
        self._known: dict[tuple[str, Level], Kin | None] = {}

    def of(self, incident: Incident) -> Kin | None:
        """Asked several times of each, and routes are looked through for it."""
        key = incident.fingerprint, incident.peak
        if key not in self._known:
            self._known[key] = self._found(incident)
        return self._known[key]

    def _found(self, incident: Incident) -> Kin | None:
        grouping = self._relations.grouping(incident)
        if grouping is not None:
            return Kin(grouping.together, (grouping.values(incident), self._heard_by(incident)))
        bound = self._rules.get(incident.rule)
        together = None if bound is None else bound.rule.together
        if together is None:
            return None
        where = incident.database if together.in_one_database else None
        return Kin(together, (where, self._heard_by(incident)))


@dataclass(frozen=True, slots=True)
class Company:
    """`leader` is the worst, and stays so as long as none is worse."""

    kind: Together
    leader: Incident
    followers: tuple[Incident, ...]

    @property
    def words(self) -> str:
        shares = [one.evidence.share_percent for one in (self.leader, *self.followers)]
        known = [share for share in shares if share is not None]
        took = f", together {min(100.0, sum(known)):.0f} % of the server's time" if known else ""
        return f"{1 + len(self.followers)} began together{took}: it looks like a {self.kind.name}"


def companies(
    fired: Sequence[Incident], known: Mapping[int, Incident], kin_of: KinOf, now: datetime
) -> Iterator[Company]:
    """Those that there are, and those that are to be, among what fires; `known` are all of the target by id.

    What something else explains is in none, and what is silenced leads nobody. A company lasts as long as one of it
    fires, how many are left does not matter: the last of them is not news. When the leader has ended the others have
    REST to end as well, before one of them is told in its place; those that are critical have none.
    """
    for kin, members in _kindred(fired, known, kin_of).items():
        for company in _among(kin.kind, members):
            if not _rests(company, known, now):
                yield Company(kin.kind, *_ranked(company))


def _kindred(
    fired: Sequence[Incident], known: Mapping[int, Incident], kin_of: KinOf
) -> Mapping[Kin, list[Incident]]:
    found: defaultdict[Kin, list[Incident]] = defaultdict(list)
    for incident in fired:
        kin = None if incident.silenced_by else kin_of(incident)
        if kin is not None and led(incident, known, kin_of):
            found[kin].append(incident)
    return found


def led(incident: Incident, known: Mapping[int, Incident], kin_of: KinOf) -> bool:
    """Whether it stands for itself, or follows one of its own kind."""
    if incident.parent_id is None:
        return True
    parent, kin = known.get(incident.parent_id), kin_of(incident)
    its = None if parent is None else kin_of(parent)
    return kin is not None and its is not None and its.kind == kin.kind


def _among(kind: Together, members: Sequence[Incident]) -> Iterator[list[Incident]]:
    present, free = _present(members)
    for incident in sorted(free, key=_began):
        mine = next((one for one in present if _fits(kind, one, incident)), None)
        if mine is None:
            present.append([incident])
        else:
            mine.append(incident)
    leading = {one.parent_id for one in members}
    for company in present:
        if any(one.parent_id is not None or one.id in leading for one in company) or _enough(kind, company):
            yield company


def _rests(company: Sequence[Incident], known: Mapping[int, Incident], now: datetime) -> bool:
    """Whether its leader ended so lately that nobody leads it yet."""
    if any(one.severity >= Level.CRITICAL for one in company):
        return False
    leaders = (known.get(one.parent_id) for one in company if one.parent_id is not None)
    ends = (leader.resolved_at for leader in leaders if leader is not None)
    return any(ended_at is not None and now < ended_at + REST for ended_at in ends)


def _ranked(company: Sequence[Incident]) -> tuple[Incident, tuple[Incident, ...]]:
    """Who leads, and the others: the worst; of equals who leads already, then who was told, then the first."""
    leading = {one.parent_id for one in company}

    def rank(one: Incident) -> tuple[object, ...]:
        return (-one.severity, one.id not in leading, one.parent_id is not None, *_began(one))

    leader = min(company, key=rank)
    return leader, tuple(one for one in company if one is not leader)


def _present(members: Sequence[Incident]) -> tuple[list[list[Incident]], list[Incident]]:
    """The companies that there are, the oldest first, and those who are in none."""
    leading = {one.parent_id for one in members}
    by_leader: defaultdict[int, list[Incident]] = defaultdict(list)
    free = []
    for one in members:
        if one.parent_id is not None:
            by_leader[one.parent_id].append(one)
        elif one.id in leading:
            by_leader[one.id].append(one)
        else:
            free.append(one)
    return sorted(by_leader.values(), key=lambda company: min(map(_began, company))), free


def _fits(kind: Together, company: Iterable[Incident], incident: Incident) -> bool:
    since = min(one.pending_since for one in company)
    return abs(incident.pending_since - since) <= timedelta(seconds=kind.within_s)


def _enough(kind: Together, company: Sequence[Incident]) -> bool:
    if len(company) >= kind.least:
        return True
    share = sum(one.evidence.share_percent or 0.0 for one in company)
    return len(company) > 1 and kind.least_share_percent is not None and share >= kind.least_share_percent


def _began(incident: Incident) -> tuple[object, ...]:
    return incident.pending_since, incident.id or float("inf"), incident.fingerprint
