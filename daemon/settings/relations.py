"""The sections that say what is told as one, and what keeps what quiet."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from alerts.relations import Grouping, Inhibition
from alerts.routes import pairs
from daemon.settings.sections import Name, Patterns, Section
from pgvigil.model.together import Together
from pgvigil.units import DurationS

_KEYS = "severity, rule, target, database, subject or a label, each with a pattern or a list of them; all must match."


class GroupSettings(Section):
    """Incidents of one target that are told as one when they begin together: the worst leads the others."""

    name: Name = Field(description="What the message calls it.", examples=["nightly-load"])
    match: Mapping[str, Patterns] = Field(
        min_length=1, examples=[{"rule": ["long_transaction", "dead_tuples"]}], description=_KEYS
    )
    by: Patterns = Field(
        (),
        examples=[["database"]],
        description="Keys whose values must be the same as well; the target always is.",
    )
    within_s: DurationS = Field(
        300.0, alias="within", gt=0, le=86_400, description="How far apart they may begin."
    )
    least: int = Field(2, ge=2, le=1000, description="How many there must be.")

    def grouping(self) -> Grouping:
        together = Together(name=self.name, least=self.least, within_s=self.within_s)
        return Grouping(match=pairs(self.match), by=self.by, together=together)


class InhibitSettings(Section):
    """While one incident fires, others are its children: nobody is told of them, and they stay on the page."""

    source: Mapping[str, Patterns] = Field(
        min_length=1, examples=[{"rule": "disk_full_soon", "severity": "critical"}], description=_KEYS
    )
    match: Mapping[str, Patterns] = Field(
        min_length=1, examples=[{"severity": ["info", "warning"]}], description=_KEYS
    )
    equal: Patterns = Field(
        ("target",),
        description="Keys whose values must be the same of both; without `target` it reaches all targets.",
    )

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.source == self.match and set(self.equal) >= {"target", "rule", "database", "subject"}:
            raise ValueError("source and match are the same, of the same subject: nothing inhibits itself")
        return self

    def inhibition(self) -> Inhibition:
        return Inhibition(source=pairs(self.source), match=pairs(self.match), equal=self.equal)
