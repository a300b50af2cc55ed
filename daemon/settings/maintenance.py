"""The section of maintenance windows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import Field, model_validator

from alerts.maintenance import Window, too_long
from alerts.routes import pairs
from daemon.settings.hours import HoursSettings
from daemon.settings.sections import Name, Patterns

_ANY_WEEK = datetime(2026, 1, 4, 23, tzinfo=UTC)


class MaintenanceSettings(HoursSettings):
    """Times of the week in which nobody is disturbed with what matches; each time is a silence."""

    name: Name = Field(description="Its silences are by `maintenance NAME`.", examples=["weekly-repack"])
    match: Mapping[str, Patterns] = Field(
        min_length=1,
        examples=[{"target": "orders-*"}],
        description="severity, rule, target, database, subject or a label, each with a pattern or a list of them; all must match.",
    )
    reason: str = Field(
        min_length=1,
        max_length=300,
        description="Why, for those who look for the alarm.",
        examples=["pg_repack"],
    )

    @model_validator(mode="after")
    def _hides_not_too_much(self) -> Self:
        said = too_long(self.window(), _ANY_WEEK)
        if said:
            raise ValueError(said)
        return self

    def window(self) -> Window:
        return Window(name=self.name, match=pairs(self.match), reason=self.reason, schedule=self.schedule())
