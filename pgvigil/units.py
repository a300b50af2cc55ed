"""Typed quantities of configuration: durations, sizes, percentages.

Defaults are written in code as plain numbers of the base unit (seconds, bytes, percent); text is parsed.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE_BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%?")


def parse_duration_s(value: Any) -> float:
    """Seconds from `"500ms"`, `"1m30s"`, `"2h"`; a bare number is refused because its unit is a guess."""
    text = value.strip() if isinstance(value, str) else ""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(
            f'{value!r} is not a duration; write a number with a unit, such as "30s", "5m", "1m30s"'
        )
    return float(sum(float(number) * _DURATION_S[unit] for number, unit in parts))


def parse_size_bytes(value: Any) -> int:
    """Bytes from `"10MB"`; units are powers of 1024, as PostgreSQL counts them."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f'{value!r} is not a size; write a number with a unit, such as "512kB", "10MB", "2GB"'
        )
    return int(float(match[1]) * _SIZE_BYTES[match[2]])


def parse_percent(value: Any) -> float:
    """A percentage from `80` or `"80 %"`."""
    match = _PERCENT.fullmatch(str(value).strip()) if isinstance(value, int | float | str) else None
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a percentage; write a number from 0 to 100")
    return float(match[1])


def format_duration(seconds: float) -> str:
    """The shortest exact-enough text for people: `250ms`, `42s`, `4m12s`, `3h05m`, `2d04h`."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)}ms"
    total = int(seconds)
    if total < 60:
        return f"{seconds:.1f}s" if seconds < 10 and seconds != total else f"{total}s"
    minutes, secs = divmod(total, 60)
    if minutes < 60:
        return f"{minutes}m{secs:02d}s" if secs else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if hours else f"{days}d"


def format_size(size_bytes: float) -> str:
    """A size for people, in powers of 1024."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TB"


DurationS = Annotated[
    float,
    BeforeValidator(parse_duration_s),
    PlainSerializer(format_duration),
    WithJsonSchema(
        {"type": "string", "format": "pgvigil-duration", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}
    ),
    Field(ge=0),
]
SizeBytes = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    PlainSerializer(format_size),
    WithJsonSchema(
        {"type": "string", "format": "pgvigil-size", "pattern": r"^\d+(\.\d+)?\s*(B|kB|MB|GB|TB)$"}
    ),
    Field(ge=0),
]
Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    WithJsonSchema({"type": ["number", "string"], "format": "pgvigil-percent", "minimum": 0, "maximum": 100}),
    Field(ge=0, le=100),
]
