"""Plays the cases of a script and compares what is open with what must be."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from alerts.bound import BoundRule
from daemon.rehearsal.script import CaseSection, ExpectationSection, ExpectedSection, Reading, Script
from daemon.rehearsal.stage import Stage
from daemon.rehearsal.statements import Ran
from daemon.settings.plugins import Plugins
from daemon.settings.rulebook import RuleBook
from daemon.settings.sections import TargetSettings
from pgvigil.model.incident import Incident, State
from pgvigil.statements import StatementsReading
from pgvigil.units import format_duration


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one case: `wrong` says, a line each, where it went differently."""

    name: str
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class _Event:
    at_s: float
    last: bool  # an expectation, which comes after the readings of its moment
    place: int


def bound(script: Script, plugins: Plugins) -> dict[str, BoundRule]:
    """The rules of the script's own sections, `only` those that it names. Raises ConfigErrors."""
    book = RuleBook(plugins.rules, script.rules, script.report, plugins.collectors)
    target = TargetSettings.model_validate({"name": script.section.target, "dsn": "host=127.0.0.1"})
    rules = book.bind(target)
    script.report.raise_if_any()
    return chosen(rules, script.section.only)


def chosen(rules: Mapping[str, BoundRule], only: Collection[str]) -> dict[str, BoundRule]:
    """Those that `only` names; all of them where it names none."""
    return {name: rule for name, rule in rules.items() if not only or name in only}


def play(
    target: str, rules: Mapping[str, BoundRule], case: CaseSection, readings: Sequence[Reading]
) -> Outcome:
    """One case on a stage of its own. Rules that throw are told as wrong."""
    stage = Stage(target, rules)
    events = [
        _Event(at_s, last=False, place=place)
        for place, reading in enumerate(readings)
        for at_s in reading.moments_s()
    ]
    events += [_Event(one.at_s, last=True, place=place) for place, one in enumerate(case.expect)]
    wrong: list[str] = []
    now_s, before = 0.0, None
    for event in sorted(events):
        stage.wait(event.at_s - now_s)
        now_s = event.at_s
        if event.last:
            wrong += _differences(case.expect[event.place], stage.engine.open())
        else:
            reading = readings[event.place]
            payload = reading.payload.after(before) if isinstance(reading.payload, Ran) else reading.payload
            before = payload if isinstance(payload, StatementsReading) else before
            _take(stage, reading, payload)
    wrong += [f"the rule {name} failed {count} times" for name, count in stage.pipeline.rule_errors.items()]
    return Outcome(case.name, tuple(wrong))


def _take(stage: Stage, reading: Reading, payload: Any) -> None:
    if reading.databases:
        stage.pipeline.database_names = reading.databases
    stage.read(
        reading.collector, reading.section.database, payload, reading.facts, interval_s=reading.interval_s
    )


def _differences(expectation: ExpectationSection, incidents: Sequence[Incident]) -> Iterator[str]:
    """Each that is expected is one that is there, and there are no others."""
    at = f"at {format_duration(expectation.at_s)}"
    left = [one for one in incidents if one.state is not State.PENDING]
    for wanted in expectation.incidents:
        found = next((one for one in left if _is(one, wanted)), None)
        if found is None:
            near = [one for one in incidents if one.rule == wanted.rule]
            seen = "; ".join(map(_told, near)) or "nothing of that rule is open"
            yield f"{at}: expected {_asked(wanted)}: {seen}"
        else:
            left.remove(found)
    yield from (f"{at}: not expected: {_told(one)}" for one in left)


def _is(incident: Incident, wanted: ExpectedSection) -> bool:
    given = (
        (wanted.subject, incident.subject),
        (wanted.database, incident.database),
        (wanted.severity, incident.severity.word),
    )
    return (
        (incident.rule, incident.state.value) == (wanted.rule, wanted.state)
        and all(asked in (None, has) for asked, has in given)
        and fnmatchcase(incident.summary, wanted.summary or "*")
    )


def _asked(wanted: ExpectedSection) -> str:
    given = wanted.model_dump(exclude_none=True, exclude={"rule", "state"})
    more = ", ".join(f"{key} {value}" for key, value in given.items())
    return f"{wanted.rule} {wanted.state}" + (f" ({more})" if more else "")


def _told(incident: Incident) -> str:
    return (
        f"{incident.rule} {incident.state.value} {incident.severity.word}"
        f" ({incident.subject}): {incident.summary}"
    )
