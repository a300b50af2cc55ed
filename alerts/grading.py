"""From a value to a level: the one place where thresholds are compared."""

from pgvigil.model.evidence import Figure
from pgvigil.model.level import Level
from pgvigil.plugins import MagnitudeParams
from pgvigil.units import format_duration


def grade(value: float, params: MagnitudeParams) -> Level | None:
    """The level of `value`; None is recovered.

    HOLD lies above `clear` and below the first level that is switched on. Without `clear` there is no such
    band: what does not reach a level has recovered.
    """
    if params.critical is not None and value >= params.critical:
        return Level.CRITICAL
    if params.warning is not None and value >= params.warning:
        return Level.WARNING
    if params.clear is not None and value > params.clear:
        return Level.HOLD
    return None


def duration_figure(name: str, seconds: float | None) -> Figure:
    return Figure(name, "unknown" if seconds is None else format_duration(seconds))


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 session`, `3 sessions`, `2 indexes`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
