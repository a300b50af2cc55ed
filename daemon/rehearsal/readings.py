"""Readings as JSON, and back: the form is that of the collector's own payload."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from daemon.rehearsal import statements
from pgvigil.model.facts import Facts
from pgvigil.plugins import Collector
from pgvigil.statements import StatementsReading

KeyPath = tuple[str | int, ...]

FACTS: TypeAdapter[Facts] = TypeAdapter(Facts)
# A server that does not answer gives no reading, and that is what counts there. Thousands of statements in each
# reading would push out all others; their own history keeps them by the statement.
NOT_KEPT = frozenset({"availability", "statements"})


@dataclass(frozen=True, slots=True)
class _Form:
    """How a payload is written: as itself, or as something else that stands for it."""

    adapter: TypeAdapter[Any]
    written: Callable[[Any], Any] = lambda payload: payload
    read: Callable[[Any], Any] = lambda given: given


@cache
def _form_of(read: Callable[..., Any]) -> _Form:
    """Made once: it takes as long as a reading."""
    payload = get_type_hints(read)["return"]
    if payload is StatementsReading:  # columns of numbers, which only a server fills
        return _Form(statements.FORM, statements.written, statements.read)
    return _Form(TypeAdapter(payload))


def encoded(collector: Collector[Any], payload: Any) -> Any:
    """`payload` as plain lists and objects."""
    form = _form_of(collector.read)
    return form.adapter.dump_python(form.written(payload), mode="json")


def as_json(collector: Collector[Any], payload: Any) -> bytes:
    """`payload` as the text of `encoded`. Raises ValueError for text that is no UTF-8."""
    form = _form_of(collector.read)
    return form.adapter.dump_json(form.written(payload))


def decoded(collector: Collector[Any], data: Any) -> Any:
    """The payload that `data` is. Raises pydantic.ValidationError."""
    form = _form_of(collector.read)
    return form.read(form.adapter.validate_python(data))


def strange_keys(data: Any, known: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Where `data` has keys that came to nothing: `known` is what it was taken for, encoded again."""
    if isinstance(data, Mapping) and isinstance(known, Mapping):
        for key, value in data.items():
            if key in known:
                yield from strange_keys(value, known[key], (*path, key))
            else:
                yield (*path, key)
    elif isinstance(data, list) and isinstance(known, list):
        for index, (value, counterpart) in enumerate(zip(data, known, strict=False)):
            yield from strange_keys(value, counterpart, (*path, index))
