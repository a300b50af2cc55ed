"""From a value to a level: the one place where thresholds are compared."""

from pgvigil.model.evidence import Figure
from pgvigil.model.level import Level
from pgvigil.plugins import MagnitudeParams
from pgvigil.units import format_duration


def grade(value: float, params: MagnitudeParams, *, below: bool = False) -> Level | None:
    """The level of `value`; None is recovered. With `below` small values are the bad ones.

    HOLD lies beyond `clear` and short of the first level that is switched on. Without `clear` there is no such
    band: what does not reach a level has recovered.
    """
    sign = -1 if below else 1

    def reached(threshold: float | None) -> bool:
        return threshold is not None and sign * value >= sign * threshold

    if reached(params.critical):
        return Level.CRITICAL
    if reached(params.warning):
        return Level.WARNING
    if params.clear is not None and sign * value > sign * params.clear:
        return Level.HOLD
    return None


def duration_figure(name: str, seconds: float | None) -> Figure:
    return Figure(name, "unknown" if seconds is None else format_duration(seconds))


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 session`, `3 sessions`, `2 indexes`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
