"""What the threshold rule can judge: the columns of the collectors' tables, and their units."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from pgvigil.postgres.query import Query
from pgvigil.registry import collectors
from pgvigil.units import format_duration, format_size, parse_duration_s, parse_percent, parse_size_bytes

_UNSAFE = {"query", "definition"}  # columns whose text holds the data of users

_PARSERS: Mapping[str, Callable[[str], float]] = {
    "s": parse_duration_s,
    "ms": lambda text: 1000 * parse_duration_s(text),
    "bytes": parse_size_bytes,
    "percent": parse_percent,
}


def tables_of(collector: str, table: str) -> list[Query[Any]]:
    """The table, or without a name all of the collector; empty where the collector is not known."""
    if collector not in collectors():
        return []
    tabled = collectors()[collector].tabled
    return [tabled[table]] if table in tabled else list(tabled.values())


def columns_beside(collector: str, table: str, column: str) -> list[str]:
    """The columns of the table that has `column`, but for those whose text holds data."""
    having = (query for query in tables_of(collector, table) if column in query.row._fields)
    query = next(having, None)
    return [] if query is None else [name for name in query.row._fields if name not in _UNSAFE]


def is_number(query: Query[Any], column: str) -> bool:
    """Whether the row class promises a number or a flag."""
    hint = get_type_hints(query.row)[column]
    return bool({int, float, bool} & {hint, *get_args(hint)})


def one_of(name: str, known: Sequence[str], what: str) -> str:
    """`name`, if it is known; raises ValueError with the nearest name."""
    if name in known:
        return name
    nearest = get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
    raise ValueError(f"unknown {what} {name!r}; {hint}")


def parsed(key: str, value: float | str | None, unit: str) -> float | None:
    """A limit in the column's unit; raises ValueError for text that does not fit the unit."""
    if not isinstance(value, str):
        return value
    parse = _PARSERS.get(unit)
    if parse is None:
        raise ValueError(f"{key} must be a number: the column's unit is {unit or 'none'}")
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def shown(value: float, unit: str) -> str:
    """A value in the column's unit, for people."""
    match unit:
        case "s":
            return format_duration(value)
        case "ms":
            return format_duration(value / 1000)
        case "bytes":
            return format_size(value)
        case "percent":
            return f"{value:.4g} %"
        case _:
            return f"{value:,.6g}"
