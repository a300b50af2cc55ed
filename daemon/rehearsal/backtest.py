"""One rule on the history of readings: when it would have fired, next to when it did."""

import heapq
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from alerts.bound import BoundRule
from daemon.rehearsal.blocks import Taken, taken
from daemon.rehearsal.stage import Stage, Unkept
from daemon.settings.sections import TargetSettings
from pgvigil.model.action import Action
from pgvigil.model.delivery import Want
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.history import Place
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.plugins import Collector
from pgvigil.store.samples import Samples

GAP = 3.0  # readings that are missing in a row: nobody looked
_LEAST_GAP_S = 120.0
_NOBODY = Failure(FailureKind.SILENT, "no readings are kept of this time")


@dataclass(slots=True)
class Replayed:
    """What a rule makes of the readings of one target. `fired` has the episodes, in the order in which they fired;
    `unreadable` counts blocks of another form, `failures` how often the rule threw. `fine_since` is the first time of
    which all readings that were kept are still there.
    """

    target: str
    fired: list[Incident] = field(default_factory=list)
    readings: int = 0
    unreadable: int = 0
    failures: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    fine_since: datetime | None = None
    every_s: float = 0.0


def with_values(bound: BoundRule, given: Mapping[str, str]) -> BoundRule:
    """The rule with other parameters, checked as those of the configuration. Raises ValueError."""
    written = bound.params.model_dump(by_alias=True)
    for key in given:
        if key not in written:
            raise ValueError(f"{bound.name} has no parameter {key!r}; it has {', '.join(written)}")
    values = {**written, **{key: _value(text) for key, text in given.items()}}
    try:
        return replace(bound, params=type(bound.params).model_validate(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where or bound.name}: {first['msg'].removeprefix('Value error, ')}") from error


def _value(text: str) -> Any:
    """As in the configuration, where quotes may be left out."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def replay(
    target: TargetSettings,
    rule: BoundRule,
    collectors: Mapping[str, Collector[Any]],
    samples: Samples,
    since: datetime,
) -> Replayed:
    """Play what is kept since then. Raises StoreError."""
    found = Replayed(target.name)
    readings = _readings(found, [collectors[name] for name in rule.rule.watches], samples, since)
    first = next(readings, None)
    if first is None:
        return found
    past = _Past()
    stage = Stage(
        target.name,
        {rule.name: rule},
        past,
        labels=target.labels,
        disk_size_bytes=target.disk_size_bytes,
        kind=target.kind,
        start=first.at,
    )
    watch = _Watch()
    for one in _chain(first, readings):
        _take(stage, one, collectors[one.place.feed], watch)
        found.readings += 1
        found.last_at = one.at
    found.first_at = first.at
    found.failures = sum(stage.pipeline.rule_errors.values())
    found.fired = sorted(past.fired.values(), key=lambda incident: (incident.fired_at or since, incident.id))
    return found


def _chain(first: Taken, rest: Iterator[Taken]) -> Iterator[Taken]:
    yield first
    yield from rest


def _readings(
    found: Replayed, collectors: Iterable[Collector[Any]], samples: Samples, since: datetime
) -> Iterator[Taken]:
    """In the order in which they were read."""
    feeds = [_of(found, one, samples, since) for one in collectors]
    return heapq.merge(*feeds, key=lambda one: one.at)


def _of(found: Replayed, collector: Collector[Any], samples: Samples, since: datetime) -> Iterator[Taken]:
    """Of several databases blocks overlap: those are merged, a day's worth at a time at most."""
    waiting: list[tuple[datetime, int, Taken]] = []
    number = 0
    for block in samples.of(found.target, collector.name, since):
        while waiting and waiting[0][0] < block.first_at:
            yield heapq.heappop(waiting)[2]
        if not block.coarse and (found.fine_since is None or block.first_at < found.fine_since):
            found.fine_since = block.first_at
        found.every_s = max(found.every_s, 0.0 if block.coarse else block.every_s)
        try:
            for one in taken(block, collector):
                if one.at >= since:
                    number += 1
                    heapq.heappush(waiting, (one.at, number, one))
        except ValueError:
            found.unreadable += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


@dataclass(slots=True)
class _Watch:
    """What was read last of each place, and how long that holds."""

    due: dict[Place, datetime] = field(default_factory=dict)

    def overdue(self, until: datetime) -> Iterator[tuple[datetime, Place]]:
        """What was not read in time before then, each once, in order of time."""
        late = sorted((at, str(place), place) for place, at in self.due.items() if at < until)
        for at, _, place in late:
            del self.due[place]
            yield at, place


def _take(stage: Stage, one: Taken, collector: Collector[Any], watch: _Watch) -> None:
    for at, place in watch.overdue(one.at):
        _wait(stage, at)
        stage.pipeline.lost(place.feed, place.database, _NOBODY)
    _wait(stage, one.at)
    interval_s = max(collector.interval_s, one.every_s)
    watch.due[one.place] = one.at + timedelta(seconds=max(GAP * interval_s, _LEAST_GAP_S))
    stage.pipeline.facts = one.facts
    stage.read(collector, one.place.database, one.payload, one.facts, interval_s=interval_s, taken_at=one.at)


def _wait(stage: Stage, until: datetime) -> None:
    stage.wait(max(0.0, (until - stage.now().utc).total_seconds()))


class _Past(Unkept):
    """Remembers each time that something fired, as it was at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.fired: dict[tuple[int, int], Incident] = {}

    def commit(
        self, transitions: Sequence[Transition], wants: Sequence[Want], done: Sequence[Action] = ()
    ) -> list[Incident]:
        stored = super().commit(transitions, wants, done)
        for one in stored:
            if one.fired_at is not None and one.state is not State.PENDING:
                self.fired[one.id, one.reopened] = one
        return stored


def matching(would: Incident, did: Sequence[Incident]) -> Incident | None:
    """The incident of then that was about the same, at the same time."""
    for one in did:
        same = (one.database, one.subject) == (would.database, would.subject)
        if same and _overlap(one, would):
            return one
    return None


def _overlap(one: Incident, other: Incident) -> bool:
    def ends(incident: Incident) -> datetime:
        return incident.resolved_at or incident.evaluated_at

    return one.pending_since <= ends(other) and other.pending_since <= ends(one)
