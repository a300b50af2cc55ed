"""What a key takes, in words: read from the model's own JSON schema, so that it cannot differ from it."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import PydanticJsonSchemaWarning
from pydantic_core import PydanticUndefined, to_jsonable_python

from pgvigil.units import format_duration, format_size

_WORDS = {
    "pgvigil-duration": "a duration",
    "pgvigil-size": "a size",
    "pgvigil-percent": "a percentage",
    "pgvigil-address": "host:port",
    "pgvigil-name": "a name of letters, digits, _, . and -, at most 63",
    "hostname": "host name",
    "uri": "a URL",
    "path": "a path",
    "password": "text",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "",
}

_CHOICES = re.compile(r"\^\(([a-z|]+)\)\$")  # a pattern that is a list of words

# Keys that every rule with a magnitude has, for rules that say no more about them.
_LEVELS = {
    "warning": "From here on it is a warning.",
    "critical": "From here on it is critical.",
    "clear": "At or below this it has recovered; between here and warning it goes on as it is.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDoc:
    """One key of a section. `default` is None where there is none, else a value that TOML can hold."""

    key: str
    takes: str
    required: bool
    default: Any
    description: str
    schema: Mapping[str, Any]


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema, as its section of a file is written."""
    with warnings.catch_warnings():
        # Defaults that only pydantic can serialise are left out of the schema; `default_of` knows them.
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
        return model.model_json_schema(by_alias=True)


@cache
def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a section, in the order of the model."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def key_docs(model: type[BaseModel]) -> tuple[KeyDoc, ...]:
    """Every key of a section with what it takes, its default and its meaning."""
    return _key_docs(model)


@cache
def _key_docs(model: type[BaseModel]) -> tuple[KeyDoc, ...]:
    schema = schema_of(model)
    docs = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        prop = {**_resolved(schema["properties"][key], schema), **_limits(field)}
        docs.append(
            KeyDoc(
                key=key,
                takes=takes(prop),
                required=field.is_required(),
                default=_default(model, name),
                description=field.description or _LEVELS.get(key, ""),
                schema=prop,
            )
        )
    return tuple(docs)


def _limits(field: FieldInfo) -> dict[str, Any]:
    """The range that a field states itself; the JSON schema of a typed quantity does not hold it."""
    low = [constraint.ge for constraint in field.metadata if isinstance(constraint, Ge)]
    high = [constraint.le for constraint in field.metadata if isinstance(constraint, Le)]
    limits: dict[str, Any] = {}
    if low:
        limits["minimum"] = max(low)  # type: ignore[type-var]  # bounds of one field are of one type
    if high:
        limits["maximum"] = min(high)  # type: ignore[type-var]  # same
    return limits


def meaning_of(model: type[BaseModel], loc: Sequence[str | int]) -> str:
    """The hint for a wrong or missing value: what the key takes."""
    for doc in key_docs(model):
        if loc and doc.key == loc[0]:
            return f"allowed: {doc.takes}" if doc.takes else ""
    return ""


def takes(prop: Mapping[str, Any]) -> str:
    """What a property of a JSON schema takes, with its range, in words."""
    if "anyOf" in prop:
        return " or ".join(filter(None, dict.fromkeys(takes(option) for option in prop["anyOf"])))
    if "enum" in prop:
        return " or ".join(f'"{choice}"' for choice in prop["enum"])
    if "const" in prop:
        return f'"{prop["const"]}"'
    if choices := _CHOICES.fullmatch(str(prop.get("pattern", ""))):
        return " or ".join(f'"{choice}"' for choice in choices[1].split("|"))
    kind = prop.get("format", prop.get("type", ""))
    word = _WORDS.get(kind if isinstance(kind, str) else "", "")
    if kind == "array" and (inner := takes(prop.get("items", {}))):
        word = f"a list of: {inner}"
    return word + _range(prop, kind)


def brief(prop: Mapping[str, Any]) -> str:
    """Only what a sample value does not show already: the choices, or the range."""
    options = [option for option in prop.get("anyOf", ()) if option.get("type") != "null"]
    inner = options[0] if len(options) == 1 else prop
    kind = inner.get("format", inner.get("type", ""))
    if "enum" in inner:
        return takes(inner)
    return "" if kind == "pgvigil-percent" else _range({**inner, **prop}, kind).removeprefix(", ")


def _range(prop: Mapping[str, Any], kind: Any) -> str:
    low = prop.get("minimum", prop.get("ge"))
    high = prop.get("maximum", prop.get("le"))
    above, below = prop.get("exclusiveMinimum", prop.get("gt")), prop.get("exclusiveMaximum", prop.get("lt"))
    if low == 0 and str(kind).startswith("pgvigil-") and high is None:
        low = None  # nobody expects a negative duration or size
    if low is not None and high is not None:
        return f", {_bound(low, kind)} to {_bound(high, kind)}"
    words = (("at least", low), ("more than", above), ("at most", high), ("less than", below))
    return "".join(f", {word} {_bound(bound, kind)}" for word, bound in words if bound is not None)


def _bound(bound: float, kind: Any) -> str:
    if kind == "pgvigil-duration":
        return format_duration(bound)
    if kind == "pgvigil-size":
        return format_size(bound)
    return f"{bound:g}"


def _resolved(prop: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """`prop` with references into the schema's definitions followed."""
    if "$ref" in prop:
        return {
            **schema["$defs"][prop["$ref"].rpartition("/")[2]],
            **{k: v for k, v in prop.items() if k != "$ref"},
        }
    return dict(prop)


def _default(model: type[BaseModel], name: str) -> Any:
    value = model.model_fields[name].get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return None
    stub = model.model_construct(**{name: value})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the other fields are missing on purpose
        dumped = stub.model_dump(mode="json", include={name})[name]
    return to_jsonable_python(dumped)
