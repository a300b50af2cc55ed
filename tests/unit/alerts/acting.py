"""Makes findings and time for the tests of incidents."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment

TARGET = "orders-prod"


class Clock:
    """Both clocks, moved by hand; the wall can be stepped alone."""

    def __init__(self) -> None:
        self.utc = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
        self.mono_s = 1000.0

    @property
    def now(self) -> Moment:
        return Moment(self.utc, self.mono_s)

    def after(self, seconds: float) -> Moment:
        self.mono_s += seconds
        self.utc += timedelta(seconds=seconds)
        return self.now

    def step_wall(self, seconds: float) -> None:
        self.utc += timedelta(seconds=seconds)


def finding(
    rule: str = "slow_query", subject: str = "statement 1/10/7", level: Level = Level.WARNING, **more: Any
) -> Finding:
    shown: dict[str, Any] = {"target": TARGET, "database": None, "summary": f"{subject} is in trouble"}
    return Finding(rule=rule, subject=subject, level=level, **(shown | more))
