"""The sections that say who hears of what, and when."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from alerts.hours import always
from alerts.routes import Route
from daemon.settings.hours import MuteSettings, SeverityHoursSettings
from daemon.settings.sections import Patterns, Section
from pgvigil.model.level import Level
from pgvigil.units import DurationS

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

    fallback: Patterns = Field(
        (),
        examples=[["pager"]],
        description="Sinks that are told as well when one of `sinks` has not taken it in time.",
    )
    fallback_after_s: DurationS = Field(
        120.0, alias="fallback_after", ge=10, le=86_400, description="That time."
    )
    fallback_severity: Literal["info", "warning", "critical"] = Field(
        "critical", description="How bad it must have been for `fallback`."
    )

    remind_every_s: DurationS | None = Field(
        None,
        alias="remind_every",
        ge=10,
        le=604_800,
        examples=["4h"],
        description="How often people hear again of what goes on while nobody has acknowledged it.",
    )
    escalate_after_s: DurationS | None = Field(
        None,
        alias="escalate_after",
        ge=10,
        le=604_800,
        examples=["15m"],
        description="When nobody has acknowledged it for so long, `escalate_to` are told as well.",
    )
    escalate_to: Patterns = Field((), examples=[["pager"]], description="Names of sinks.")

    @model_validator(mode="after")
    def _leaves_some_time(self) -> Self:
        if always((one.quiet() for one in self.mute), _ANY_WEEK):
            raise ValueError("mute leaves no time in which anything is told; remove the route instead")
        return self

    @model_validator(mode="after")
    def _leads_elsewhere(self) -> Self:
        for key, sinks in (("fallback", self.fallback), ("escalate_to", self.escalate_to)):
            same = [sink for sink in sinks if sink in self.sinks]
            if same:
                raise ValueError(f"{key} names {same[0]}, which is among sinks already")
        return self

    @model_validator(mode="after")
    def _escalates_to_somebody(self) -> Self:
        if bool(self.escalate_to) != (self.escalate_after_s is not None):
            raise ValueError("escalate_after and escalate_to need each other")
        return self

    def route(self) -> Route:
        return Route(
            match=self.match,
            sinks=self.sinks,
            mention=self.mention,
            go_on=self.go_on,
            quiet=tuple(one.quiet() for one in (*self.mute, *self.severity)),
            fallback=self.fallback,
            fallback_after_s=self.fallback_after_s,
            fallback_severity=Level.from_word(self.fallback_severity),
            remind_every_s=self.remind_every_s,
            escalate_after_s=self.escalate_after_s,
            escalate_to=self.escalate_to,
        )
