"""Times of the week, as the configuration writes them."""

import re
from datetime import time
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from alerts.hours import Quiet
from daemon.settings.sections import Patterns, Section
from pgvigil.model.level import Level
from pgvigil.model.schedule import LONGEST_S, Schedule, days_of
from pgvigil.units import DurationS

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def parse_time(value: Any) -> time:
    """A time of day from `"22:00"`, or from TOML's own `22:00:00`."""
    if isinstance(value, time):
        return value
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('not a time of day; write hours and minutes, such as "07:30"')
    return time(int(match[1]), int(match[2]))


def parse_zone(value: Any) -> ZoneInfo:
    """A zone by its name in the IANA database."""
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(value)
    except (TypeError, ValueError, OSError, LookupError):
        raise ValueError(
            'no such time zone here; write a name such as "Europe/Vienna" or "UTC" (the system needs tzdata)'
        ) from None


TimeOfDay = Annotated[
    time,
    BeforeValidator(parse_time),
    PlainSerializer(lambda at: f"{at:%H:%M}"),
    WithJsonSchema({"type": "string", "pattern": r"^([01]?\d|2[0-3]):[0-5]\d$"}),
]
Zone = Annotated[
    ZoneInfo,
    BeforeValidator(parse_zone),
    PlainSerializer(lambda zone: zone.key),
    WithJsonSchema({"type": "string"}),
]


class HoursSettings(Section):
    """Times of the week by the clock of a place; with `days` alone, all of those days."""

    days: Patterns = Field(("mon-sun",), description='Days or ranges of days, such as ["sat", "mon-thu"].')
    begins: TimeOfDay = Field(time(0), alias="from", description="When it begins.")
    ends: TimeOfDay | None = Field(
        None, alias="to", description="When it ends; at or before `from`: on the next day."
    )
    for_s: DurationS | None = Field(
        None, alias="for", gt=0, le=LONGEST_S, description="How long it lasts, instead of `to`."
    )
    zone: Zone = Field(ZoneInfo("UTC"), description="By whose clock.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        days_of(self.days)
        if self.ends is not None and self.for_s is not None:
            raise ValueError("to and for exclude each other")
        if self.ends == self.begins:
            raise ValueError("to is the same as from; leave both out for the whole day")
        return self

    def schedule(self) -> Schedule:
        return Schedule(
            days=days_of(self.days), begins=self.begins, ends=self.ends, lasts_s=self.for_s, zone=self.zone
        )

    def quiet(self) -> Quiet:
        return Quiet(self.schedule())


class MuteSettings(HoursSettings):
    """Times in which nothing new is told."""


class SeverityHoursSettings(HoursSettings):
    """Times in which only what is bad enough is told."""

    at_least: Literal["warning", "critical"] = Field(description="What is told in these times.")

    def quiet(self) -> Quiet:
        return Quiet(self.schedule(), below=Level.from_word(self.at_least))
