"""What the daemon runs with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from alerts.bound import BoundRule
from alerts.maintenance import Window
from alerts.people import Person
from alerts.relations import Relations
from alerts.routes import Route
from daemon.settings.sections import (
    CollectorSettings,
    DaemonSettings,
    MetricsSettings,
    RetentionSettings,
    TargetSettings,
    TokenSettings,
)
from pgvigil.plugins import SinkKind
from pgvigil.problems import Problem


class BoundSink(NamedTuple):
    """A kind of sink with the parameters of one section."""

    kind: SinkKind
    params: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A configuration that was checked as a whole. `targets` are those that are enabled."""

    file: Path
    daemon: DaemonSettings
    metrics: MetricsSettings
    retention: RetentionSettings
    targets: tuple[TargetSettings, ...]
    collectors: Mapping[str, CollectorSettings]
    sinks: Mapping[str, BoundSink]
    routes: tuple[Route, ...]
    tokens: tuple[TokenSettings, ...]
    people: tuple[Person, ...]
    maintenance: tuple[Window, ...]
    relations: Relations
    rules: Mapping[str, Mapping[str, BoundRule]]  # target -> rule -> what holds there
    problems: tuple[Problem, ...]

    def collector(self, name: str) -> CollectorSettings:
        """Interval and switch of a collector; raises KeyError for an unknown one."""
        return self.collectors[name]

    def bound_rules(self, target: str) -> Mapping[str, BoundRule]:
        """The enabled rules for a target, overrides applied; raises KeyError for an unknown target."""
        return self.rules[target]
