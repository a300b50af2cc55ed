"""Who hears of which incident."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from alerts.hours import Quiet, quiet_until
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.problems import Problem


class Recipient(NamedTuple):
    """A sink, and who is called there."""

    sink: str
    mention: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Matches when every key of `match` does, by one of its patterns; an empty `match` matches everything.

    Keys are severity, rule, target, database, or the name of one of the target's labels. Patterns are
    shell globs, and case counts. A severity is the worst that the incident has been, matched as it stands:
    `severity = "critical"` does not mean "at least", and a list names several. So a sink meets an incident
    when it gets that bad, not when it falls back to it; and whoever was told of it goes on hearing of it
    (the store sees to that), so that nobody is left with an alarm that was since called off.

    What was never worse than info is told only where a route asks for it, by severity or by rule: facts of
    hygiene are for the page and for `pgvigil check`, not for whoever is on call.
    """

    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sinks: tuple[str, ...]
    mention: str = ""
    go_on: bool = False  # `continue`: the routes below are looked at as well
    quiet: tuple[Quiet, ...] = ()
    fallback: tuple[str, ...] = ()  # told when a sink has not taken for `fallback_after_s` what is this bad
    fallback_after_s: float = 120.0
    fallback_severity: Level = Level.CRITICAL
    remind_every_s: float | None = None  # while nobody has taken it on
    escalate_after_s: float | None = None  # that nobody has
    escalate_to: tuple[str, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether anything of it depends on the time."""
        return bool(self.quiet or self.fallback or self.remind_every_s or self.escalate_to)

    def quiet_ended(self, incident: Incident, now: datetime) -> datetime | None:
        """When the last hours ended that kept it quiet; None where none did in the last week."""
        ends = (one.schedule.last(now) for one in self.quiet if one.concerns(incident))
        return max((span.ends for span in ends if span is not None), default=None)

    def matches(self, incident: Incident) -> bool:
        return not self.mismatch(incident)

    def mismatch(self, incident: Incident) -> str:
        """Why it does not match, in words; "" where it does."""
        if incident.peak <= Level.INFO and self.match.keys().isdisjoint({"severity", "rule"}):
            return "it does not ask for info, by severity or by rule"
        values = described(incident)
        for key, patterns in self.match.items():
            value = values.get(key, "")
            if not any(fnmatchcase(value, pattern) for pattern in patterns):
                return (
                    f"{key} is {json.dumps(value)}, and it asks for {' or '.join(map(json.dumps, patterns))}"
                )
        return ""

    def quiet_until(self, incident: Incident, now: datetime) -> datetime | None:
        """When its sinks may hear of what is new; None where that is now."""
        return quiet_until(self.quiet, incident, now)

    def quiet_by(self, incident: Incident, now: datetime) -> tuple[Quiet, ...]:
        """The hours that keep it quiet now."""
        return tuple(one for one in self.quiet if one.concerns(incident) and one.schedule.during(now))


def described(incident: Incident) -> dict[str, str]:
    """What a route can match on. A label cannot take the place of a built-in key."""
    return dict(incident.labels) | {
        "severity": incident.peak.word,
        "rule": incident.rule,
        "target": incident.target,
        "database": incident.database or "",
    }


def named(incident: Incident) -> dict[str, str]:
    """The same with what names one incident: what a silence or a group can match on."""
    return described(incident) | {"subject": incident.subject, "incident": incident.name}


Pairs = tuple[tuple[str, str], ...]


def pairs(match: Mapping[str, Iterable[str]]) -> Pairs:
    """Each key with each of its patterns: `match` as it is written, in a form that can be kept."""
    return tuple((key, pattern) for key, patterns in match.items() for pattern in patterns)


def fits(match: Pairs, values: Mapping[str, str]) -> bool:
    """Whether every key of `match` is matched by one of its patterns."""
    return all(
        any(fnmatchcase(values.get(key, ""), pattern) for other, pattern in match if other == key)
        for key, _ in match
    )


class Step(NamedTuple):
    """What became of one route: `mismatch` says why it does not match, "" where it does. `ended_by` is the place of the
    route before it after which nobody looked any further.
    """

    route: Route
    mismatch: str
    ended_by: int | None = None

    @property
    def taken(self) -> bool:
        return not self.mismatch and self.ended_by is None


def path(incident: Incident, routes: Sequence[Route]) -> tuple[Step, ...]:
    """Each route in turn: the first that matches is taken, and later ones as long as each says `continue`."""
    steps: list[Step] = []
    ended_by: int | None = None
    for place, route in enumerate(routes):
        steps.append(Step(route, route.mismatch(incident), ended_by))
        if steps[-1].taken and not route.go_on:
            ended_by = place
    return tuple(steps)


def taken(incident: Incident, routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that are taken."""
    return tuple(step.route for step in path(incident, routes) if step.taken)


def recipients(incident: Incident, routes: Sequence[Route]) -> tuple[Recipient, ...]:
    """The sinks of the routes that are taken, and whom these call there."""
    mentions: dict[str, list[str]] = {}
    for route in taken(incident, routes):
        for sink in route.sinks:
            called = mentions.setdefault(sink, [])
            if route.mention and route.mention not in called:
                called.append(route.mention)
    return tuple(Recipient(sink, " ".join(called)) for sink, called in mentions.items())


def muted_until(incident: Incident, sink: str, routes: Sequence[Route], now: datetime) -> datetime | None:
    """When the sink may be told what is new of it; None where that is now: no route leads there, or one is not quiet."""
    ends = [route.quiet_until(incident, now) for route in taken(incident, routes) if sink in route.sinks]
    known = [end for end in ends if end is not None]
    return min(known) if known and len(known) == len(ends) else None


class Router:
    """`recipients` with a net under it: what is worse than info and matches no route goes to every sink, and is
    reported once.

    Without any route all incidents go to every sink, and that is no problem: it is the smallest set-up.
    """

    def __init__(
        self, routes: Sequence[Route], sinks: Sequence[str], report: Callable[[Problem], None]
    ) -> None:
        self._routes = tuple(routes)
        self._everyone = tuple(Recipient(sink, "") for sink in sinks)
        self._report = report
        self._reported = False

    @property
    def timed(self) -> bool:
        """Whether anything depends on the time."""
        return any(route.timed for route in self._routes)

    def taken(self, incident: Incident) -> tuple[Route, ...]:
        """See `taken`."""
        return taken(incident, self._routes)

    def muted_until(self, incident: Incident, sink: str, now: datetime) -> datetime | None:
        """See `muted_until`."""
        return muted_until(incident, sink, self._routes, now)

    def __call__(self, incident: Incident) -> tuple[Recipient, ...]:
        found = recipients(incident, self._routes)
        if found or incident.peak <= Level.INFO:
            return found
        if not self._routes:
            return self._everyone
        if not self._reported:
            self._reported = True
            self._report(_no_route(incident))
        return self._everyone


def _no_route(incident: Incident) -> Problem:
    return Problem(
        slug="no-route",
        sentence=f"No route matches {incident.peak.word} incidents of the rule {incident.rule}"
        f" on {incident.target}; they go to every sink.",
        fix="Add a last [[routes]] without `match` that names where everything else should go.",
        target=incident.target,
    )
