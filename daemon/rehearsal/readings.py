"""Readings as JSON, and back: the form is that of the collector's own payload."""

from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter

from pgvigil.model.facts import Facts
from pgvigil.plugins import Collector

KeyPath = tuple[str | int, ...]

FACTS: TypeAdapter[Facts] = TypeAdapter(Facts)


def _form(collector: Collector[Any]) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(get_type_hints(collector.read)["return"])
    except PydanticSchemaGenerationError:  # statements: columns of numbers, which only a server fills
        return None


def can_be_written(collector: Collector[Any]) -> bool:
    """Whether its readings have a form in JSON."""
    return _form(collector) is not None


def encoded(collector: Collector[Any], payload: Any) -> Any:
    """`payload` as plain lists and objects. Raises TypeError for a collector whose readings cannot be written."""
    return _known(collector).dump_python(payload, mode="json")


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
