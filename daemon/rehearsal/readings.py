"""Readings as JSON, and back: the form is that of the collector's own payload."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter

from pgvigil.model.facts import Facts
from pgvigil.plugins import Collector

KeyPath = tuple[str | int, ...]

FACTS: TypeAdapter[Facts] = TypeAdapter(Facts)


def _form(collector: Collector[Any]) -> TypeAdapter[Any] | None:
    return _form_of(collector.read)


@cache
def _form_of(read: Callable[..., Any]) -> TypeAdapter[Any] | None:
    """Made once: it takes as long as a reading."""
    try:
        return TypeAdapter(get_type_hints(read)["return"])
    except PydanticSchemaGenerationError:  # statements: columns of numbers, which only a server fills
        return None


def can_be_written(collector: Collector[Any]) -> bool:
    """Whether its readings have a form in JSON."""
    return _form(collector) is not None


def encoded(collector: Collector[Any], payload: Any) -> Any:
    """`payload` as plain lists and objects. Raises TypeError for a collector whose readings cannot be written."""
    return _known(collector).dump_python(payload, mode="json")


def as_json(collector: Collector[Any], payload: Any) -> bytes:
    """`payload` as the text of `encoded`. Raises ValueError for text that is no UTF-8, and TypeError as `encoded` does."""
    return _known(collector).dump_json(payload)


def decoded(collector: Collector[Any], data: Any) -> Any:
    """The payload that `data` is. Raises pydantic.ValidationError, and TypeError as `encoded` does."""
    return _known(collector).validate_python(data)


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


def _known(collector: Collector[Any]) -> TypeAdapter[Any]:
    form = _form(collector)
    if form is None:
        raise TypeError(f"readings of {collector.name} cannot be written down")
    return form
