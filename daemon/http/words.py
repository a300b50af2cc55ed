"""How values stand on the page."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from alerts.course import heights
from alerts.render import magnitude, runbook
from pgvigil.model.incident import Incident
from pgvigil.text import printable
from pgvigil.units import format_duration

_UNKNOWN = "unknown"
_STEPS, _WIDTH, _TOP, _TALL = 60, 240, 4, 40


def visible(value: Any) -> Any:
    """What the page shows of a value: names from a database may hide or reorder what stands beside them."""
    return printable(value) if type(value) is str else value  # escaped text is of a class of its own


def clock(at: datetime) -> str:
    """The time of day, for what is of today."""
    return f"{at:%H:%M:%S} UTC"


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def or_unknown(value: Any) -> Any:
    return _UNKNOWN if value is None else value


def ago(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{format_duration(float(int(seconds)))} ago"


def per_minute(value: float) -> str:
    if value < 0.1:
        return "<0.1"
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def milliseconds(value: float) -> str:
    """With three digits that count; of seconds and more as a duration."""
    if value >= 10_000:
        return format_duration(float(round(value / 1000)))
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def percent(value: float | None) -> str:
    return _UNKNOWN if value is None else "<1 %" if 0 < value < 0.01 else f"{100 * value:.0f} %"


class Chart(NamedTuple):
    """The course of an incident's value: the points of a line in a box of 240 by 48, and the values in words."""

    points: str
    least: str
    most: str
    now: str


def chart(item: Incident) -> Chart | None:
    """None where there is too little to draw."""
    course, until = item.evidence.course, item.resolved_at or item.evaluated_at
    steps = heights(course, until, _STEPS)
    if not steps:
        return None
    wide = _WIDTH / (_STEPS - 1)
    line = " ".join(f"{place * wide:.1f},{_TOP + (1 - each) * _TALL:.1f}" for place, each in enumerate(steps))
    values = [point.value for point in course]
    now = magnitude(item.rule, item.value) if item.open else ""
    return Chart(line, magnitude(item.rule, min(values)), magnitude(item.rule, max(values)), now)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "ago": ago,
    "chart": chart,
    "clock": clock,
    "duration": format_duration,
    "milliseconds": milliseconds,
    "or_unknown": or_unknown,
    "per_minute": per_minute,
    "percent": percent,
    "runbook": runbook,
    "stamp": stamp,
}
