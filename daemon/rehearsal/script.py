"""The file of a rehearsal: readings and what must come of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from daemon.rehearsal.readings import FACTS, decoded, encoded, strange_keys
from daemon.settings import files
from daemon.settings.errors import Report, key_text, nearest
from daemon.settings.explain import table, validated
from daemon.settings.locate import KeyPath
from daemon.settings.plugins import Plugins
from daemon.settings.sections import Section
from pgvigil.model.facts import Facts
from pgvigil.plugins import Collector
from pgvigil.units import DurationS

_CAPTURED = ("collector", "database", "facts", "databases", "rows")
_USUAL_FACTS = {
    "version_num": 180000,
    "version": "18.0",
    "database": "postgres",
    "system_identifier": 1,
    "in_recovery": False,
    "started_at": datetime(2000, 1, 1, tzinfo=UTC),
    "role": "pgvigil",
    "superuser": False,
    "monitor": True,
    "max_connections": 100,
    "reserved_connections": 3,
}


class ReadingSection(Section):
    """One reading, or several that are the same."""

    at_s: DurationS = Field(0.0, alias="at", description="When, counted from the test's start.")
    collector: str = Field("", description="Whose reading it is; a captured file names it itself.")
    database: str | None = Field(None, description="Of which database, where the collector reads each.")
    rows: Any = Field(None, description="The reading, as `pgvigil rules capture` prints it.")
    rows_file: Path | None = Field(None, description="The JSON file with it instead.")
    facts: Mapping[str, Any] = Field(default_factory=dict, description="What is known of the server.")
    times: int = Field(1, ge=1, le=100_000, description="How often it is read.")
    every_s: DurationS | None = Field(None, alias="every", gt=0, description="How far apart.")

    @model_validator(mode="after")
    def _one_source(self) -> "ReadingSection":
        if (self.rows is None) == (self.rows_file is None):
            raise ValueError("give exactly one of rows and rows_file")
        return self


class ExpectedSection(Section):
    """An incident that must be open. What is not given may be anything."""

    rule: str
    subject: str | None = None
    database: str | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    state: Literal["firing", "unknown"] = "firing"
    summary: str | None = Field(None, description="A pattern with * and ? that the summary matches.")


class ExpectationSection(Section):
    """All that is open and has fired at that moment, after the readings of that moment."""

    at_s: DurationS = Field(alias="at", description="When, counted from the test's start.")
    incidents: tuple[ExpectedSection, ...] = ()


class CaseSection(Section):
    name: str = Field(min_length=1, description="What is promised.")
    readings: tuple[ReadingSection, ...] = Field(min_length=1)
    expect: tuple[ExpectationSection, ...] = Field(min_length=1)


class ScriptSection(Section):
    """The file as a whole; `rules` are sections as in the configuration."""

    target: str = Field("shop", description="The target's name.")
    facts: Mapping[str, Any] = Field(default_factory=dict, description="What is known of the server.")
    databases: Mapping[int, str] = Field(
        default_factory=dict, description="Names by oid: readings of statements have no names."
    )
    only: tuple[str, ...] = Field((), description="The rules that judge; all without it.")
    tests: tuple[CaseSection, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of a script, decoded."""

    section: ReadingSection
    collector: Collector[Any]
    payload: Any
    facts: Facts
    databases: Mapping[int, str]  # names by oid

    @property
    def interval_s(self) -> float:
        return self.section.every_s or self.collector.interval_s

    def moments_s(self) -> list[float]:
        return [self.section.at_s + turn * self.interval_s for turn in range(self.section.times)]


@dataclass(frozen=True, slots=True)
class Script:
    """A checked file. `cases` are the readings of each test; `rules` is its table of rules, as the configuration would
    have it, whose errors go to `report`.
    """

    section: ScriptSection
    rules: Mapping[str, Any]
    cases: Sequence[Sequence[Reading]]
    report: Report


def read(file: Path, plugins: Plugins) -> Script:
    """Raises ConfigErrors with every error, each with its line, key and value."""
    report = Report()
    document = files.read(file, report)
    report.raise_if_any()
    rules = table(document.pop("rules", {}), ("rules",), report)
    section = validated(ScriptSection, document, (), report, also=("rules",))
    report.raise_if_any()
    assert section is not None  # noqa: S101 - None was reported, and raised
    for index, name in enumerate(section.only):
        if name not in plugins.rules:
            report.add(("only", index), "unknown rule", value=name, hint=nearest(name, tuple(plugins.rules)))
    reader = _Reader(section, plugins, report)
    cases = [
        [found for place, one in enumerate(case.readings) if (found := reader.reading(number, place, one))]
        for number, case in enumerate(section.tests)
    ]
    report.raise_if_any()
    return Script(section, rules, cases, report)


class _Reader:
    def __init__(self, script: ScriptSection, plugins: Plugins, report: Report) -> None:
        self._script = script
        self._plugins = plugins
        self._report = report

    def reading(self, number: int, place: int, section: ReadingSection) -> Reading | None:
        at: KeyPath = ("tests", number, "readings", place)
        captured = self._captured(section, at)
        if captured is None:
            return None
        name = section.collector or str(captured.get("collector", ""))
        collector = self._plugins.collectors.get(name)
        if collector is None:
            known = tuple(self._plugins.collectors)
            self._report.add((*at, "collector"), "unknown collector", value=name, hint=nearest(name, known))
            return None
        given = {**captured.get("facts", {}), **self._script.facts, **section.facts}
        facts = self._facts(given, (*at, "facts"))
        payload = self._payload(collector, captured.get("rows", section.rows), at)
        if facts is None or payload is None:
            return None
        database = section.database or captured.get("database")
        names = {**_names(captured.get("databases")), **self._script.databases}
        return Reading(section.model_copy(update={"database": database}), collector, payload, facts, names)

    def _captured(self, section: ReadingSection, at: KeyPath) -> dict[str, Any] | None:
        """What the reading's file holds: the rows alone, or all that `rules capture` prints; None where it is no use."""
        if section.rows_file is None:
            return {}
        where = (*at, "rows_file")
        try:
            data = json.loads(section.rows_file.read_text(encoding="utf-8"))
        except OSError as error:
            self._report.add(where, f"cannot be read: {error.strerror}", value=str(section.rows_file))
            return None
        except ValueError as error:
            self._report.add(where, f"is no JSON: {error}", value=str(section.rows_file))
            return None
        whole = isinstance(data, dict) and "rows" in data and data.keys() <= set(_CAPTURED)
        return data if whole else {"rows": data}

    def _facts(self, given: Mapping[str, Any], at: KeyPath) -> Facts | None:
        try:
            return FACTS.validate_python({**_USUAL_FACTS, **given})
        except ValidationError as error:
            self._explain(error, at)
            return None

    def _payload(self, collector: Collector[Any], data: Any, at: KeyPath) -> Any:
        try:
            payload = decoded(collector, data)
        except ValidationError as error:
            self._explain(error, (*at, "rows"))
            return None
        for strange in strange_keys(data, encoded(collector, payload)):
            self._report.add((*at, "rows"), f"{key_text(strange)}: the collector has no such column")
        return payload

    def _explain(self, error: ValidationError, at: KeyPath) -> None:
        """The first of what does not fit: one wrong column is wrong in every row."""
        first, *more = error.errors(include_url=False)
        inner = key_text(tuple(step for step in first["loc"] if isinstance(step, str | int)))
        rest = f" (and {len(more)} more)" if more else ""
        self._report.add(at, f"{inner}: {first['msg']}{rest}")


def _names(captured: Any) -> dict[int, str]:
    """As `rules capture` prints them: the keys of JSON are texts."""
    given = captured if isinstance(captured, Mapping) else {}
    return {int(oid): str(name) for oid, name in given.items() if str(oid).isdecimal()}
