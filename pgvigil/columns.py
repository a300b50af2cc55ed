"""Many values of one shape, packed in columns: what is alike lies side by side, and becomes small."""

import json
import zlib
from collections.abc import Sequence
from typing import Any

_LEVEL = 6
_NEVER_MADE = (zlib.error, LookupError, TypeError, AttributeError, StopIteration, RecursionError)


def packed(values: Sequence[Any]) -> bytes:
    """`values` are what JSON can hold; each way exact."""
    text = json.dumps(_columns(values), separators=(",", ":"))
    return zlib.compress(text.encode(), _LEVEL)


def unpacked(data: bytes) -> list[Any]:
    """What `packed` was given. Raises ValueError for what it never made."""
    try:
        return _values(json.loads(zlib.decompress(data)))
    except _NEVER_MADE as error:
        raise ValueError(f"no packed columns: {type(error).__name__}") from error


def _columns(values: Sequence[Any]) -> dict[str, Any]:
    first = values[0] if values else None
    if isinstance(first, dict) and all(
        isinstance(one, dict) and one.keys() == first.keys() for one in values
    ):
        return {"n": len(values), "o": {key: _columns([one[key] for one in values]) for key in first}}
    if isinstance(first, list) and all(isinstance(one, list) for one in values):
        if len(values) > 1 and len({len(one) for one in values}) == 1:  # rows of a table
            places = range(len(first))
            return {"n": len(values), "t": [_columns([one[place] for one in values]) for place in places]}
        return {"l": [len(one) for one in values], "i": _columns([each for one in values for each in one])}
    return {"p": list(values)}


def _values(columns: dict[str, Any]) -> list[Any]:
    if "o" in columns:
        inner = {key: _values(column) for key, column in columns["o"].items()}
        return [{key: column[place] for key, column in inner.items()} for place in range(columns["n"])]
    if "t" in columns:
        inner_lists = [_values(column) for column in columns["t"]]
        return [[column[place] for column in inner_lists] for place in range(columns["n"])]
    if "l" in columns:
        rest = iter(_values(columns["i"]))
        return [[next(rest) for _ in range(length)] for length in columns["l"]]
    return list(columns["p"])
