"""What the rules with a forecast share: a level by time to impact, beside the level by value."""

from pydantic import Field

from pgvigil.model.evidence import Figure
from pgvigil.model.level import Level
from pgvigil.plugins import RuleParams
from pgvigil.trends import Eta, Trend
from pgvigil.units import DurationS, format_duration


class ForecastParams(RuleParams):
    """Beside the params of the magnitude; subclasses give the defaults."""

    warning_within_s: DurationS | None = Field(
        None, alias="warning_within", description="A warning when it will be reached within this time."
    )
    critical_within_s: DurationS | None = Field(
        None, alias="critical_within", description="Critical when it will be reached within this time."
    )


def by_time(when: Eta | None, params: ForecastParams) -> Level | None:
    """The level by the likely time to impact. Where it may as well never come (no latest time), it is no alarm."""
    if when is None or when.latest_s is None:
        return None
    if params.critical_within_s is not None and when.likely_s <= params.critical_within_s:
        return Level.CRITICAL
    if params.warning_within_s is not None and when.likely_s <= params.warning_within_s:
        return Level.WARNING
    return None


def worse(one: Level | None, other: Level | None) -> Level | None:
    """The higher of two levels; None is recovered."""
    return max((level for level in (one, other) if level is not None), default=None)


def forecast_figures(when: Eta | None, slope: Trend | None) -> tuple[Figure, ...]:
    """When it comes, and on how much of the past that stands."""
    if slope is None:
        return (Figure("Forecast", "not yet: too little is known of the past"),)
    told = "not at the present rate" if when is None else when.words
    return (
        Figure("Forecast", told),
        Figure("Made from", f"{slope.points} readings over {format_duration(slope.span_s)}"),
    )
