"""The plug-ins whose sections the configuration has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, create_model

from daemon.settings.sections import CollectorSettings
from pgvigil import registry
from pgvigil.plugins import Collector, Rule, SinkKind
from pgvigil.units import DurationS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """Plug-ins by name."""

    collectors: Mapping[str, Collector[Any]] = field(default_factory=dict)
    rules: Mapping[str, Rule[Any]] = field(default_factory=dict)
    sinks: Mapping[str, SinkKind] = field(default_factory=dict)

    @classmethod
    def installed(cls) -> "Plugins":
        """All that the registry finds."""
        return cls(collectors=registry.collectors(), rules=registry.rules(), sinks=registry.sinks())


def collector_section(collector: Collector[Any]) -> type[CollectorSettings]:
    """The model of a collector's section: its default interval is the collector's own."""
    interval = Field(
        collector.interval_s, alias="interval", ge=1, le=86400, description="How often it reads."
    )
    return create_model(
        f"{collector.name} settings", __base__=CollectorSettings, interval_s=(DurationS, interval)
    )
