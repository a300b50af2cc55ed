"""The sections that say who hears of what, and when."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import Field, model_validator

from alerts.hours import always
from alerts.routes import Route
from daemon.settings.hours import MuteSettings, SeverityHoursSettings
from daemon.settings.sections import Patterns, Section

_ANY_WEEK = datetime(2026, 1, 5, tzinfo=UTC)  # whether hours leave any time out is the same in all


class RouteSettings(Section):
    """Which sinks hear of which incidents. Info is told only where `match` names a severity or a rule."""

    match: Mapping[str, Patterns] = Field(
        default_factory=dict,
        examples=[{"severity": "critical", "env": ["prod", "stage"]}],
        description="severity, rule, target, database or a label, each with a pattern or a list of them; all must match.",
    )
    sinks: tuple[str, ...] = Field(description="Names of sinks.")
    mention: str = Field(
        "", examples=["<!subteam^S123>"], description="Who is called when it opens, worsens or reopens."
    )
    go_on: bool = Field(False, alias="continue", description="true looks at the routes below as well.")
    mute: tuple[MuteSettings, ...] = Field(
        (),
        examples=[[{"days": ["sat", "sun"], "zone": "Europe/Vienna"}]],
        description="Times in which nothing new is told here; what still fires at their end is told then.",
    )
    severity: tuple[SeverityHoursSettings, ...] = Field(
        (),
        examples=[[{"from": "22:00", "to": "07:00", "zone": "Europe/Vienna", "at_least": "critical"}]],
        description="Times in which only what is at least this bad is told here; the rest as with mute.",
    )

    @model_validator(mode="after")
    def _leaves_some_time(self) -> Self:
        if always((one.quiet() for one in self.mute), _ANY_WEEK):
            raise ValueError("mute leaves no time in which anything is told; remove the route instead")
        return self

    def route(self) -> Route:
        return Route(
            match=self.match,
            sinks=self.sinks,
            mention=self.mention,
            go_on=self.go_on,
            quiet=tuple(one.quiet() for one in (*self.mute, *self.severity)),
        )
