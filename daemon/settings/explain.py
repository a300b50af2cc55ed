"""Turns what the validator says into what a person can act on."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from daemon.settings.describe import keys_of, meaning_of
from daemon.settings.errors import Report, key_text, nearest, secret_key
from daemon.settings.locate import KeyPath
from pgvigil.postgres.dsn import OptionError
from pgvigil.redact import MASK

M = TypeVar("M", bound=BaseModel)

# What the validator calls by words of its own trade; the hint says what the key takes.
_PLAIN = {
    "tuple_type": "must be a list",
    "literal_error": "is none of the choices",
    "string_pattern_mismatch": "is not allowed here",
    "greater_than_equal": "is too little",
    "less_than_equal": "is too much",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def table(data: Any, path: KeyPath, report: Report) -> dict[str, Any]:
    """`data` where it is a table, else an empty one after reporting it."""
    if isinstance(data, dict):
        return data
    report.add(path, "must be a table", value=data, hint=_header(path))
    return {}


def _header(path: KeyPath) -> str:
    """How the table at `path` is begun; nothing for one in a list."""
    if any(isinstance(step, int) for step in path):
        return ""
    more = '."PATTERN"' if path[-1] == "overrides" else ""
    return f"write [{key_text(path)}{more}] and its keys below"


def check_name(path: KeyPath, report: Report) -> None:
    """The last key of `path` is a name that people choose: it stands in messages, metrics and commands."""
    if not _NAME.fullmatch(str(path[-1])):
        report.add(path, "is not a name", hint="allowed: letters, digits, _ and -, at most 63")


def validated(
    model: type[M], data: Any, path: KeyPath, report: Report, *, also: tuple[str, ...] = ()
) -> M | None:
    """`data` as a `model`, or None after reporting every error under `path`.

    `also` names keys that are valid beside the model's own (for hints: they have been taken out of `data`).
    """
    if not isinstance(data, Mapping):
        report.add(path, "must be a table", value=data, hint=_header(path))
        return None
    try:
        return model.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        explain(error, model, data, path, report, also=also)
        return None


def explain(
    error: ValidationError,
    model: type[BaseModel],
    data: Any,
    path: KeyPath,
    report: Report,
    *,
    also: tuple[str, ...] = (),
) -> None:
    """Reports each part of `error`, at the key that it is about."""
    for part in error.errors(include_url=False):
        at = _within(data, part["loc"])
        where = (*path, *at)
        if part["type"] == "extra_forbidden":
            inner = _model_at(model, at[:-1])
            own = keys_of(inner) if inner is not model else (*keys_of(model), *also)
            report.add(where, "unknown key", hint=nearest(at[-1], own))
        elif part["type"] == "missing":
            key = str(part["loc"][-1])
            report.add((*where, key), "is needed here", hint=meaning_of(_model_at(model, at), (key,)))
        else:
            value = _value(data, at) if at else None
            hint = _hint(part, model, at)
            plain = _PLAIN.get(part["type"]) if hint else None
            report.add(where, plain or _sentence(part, where, value), value=value, hint=hint)


def _hint(part: Any, model: type[BaseModel], at: KeyPath) -> str:
    if part["type"] == "literal_error":
        return nearest(part["input"], tuple(re.findall(r"'([^']*)'", part["ctx"]["expected"])))
    return meaning_of(model, at) if part["type"] != "value_error" and len(at) == 1 else ""


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """The model of the table at `path`: `model` itself, or one that its fields hold in lists."""
    for step in path:
        found = next(
            (field for name, field in model.model_fields.items() if step in (name, field.alias)), None
        )
        inner = () if found is None else (found.annotation, *get_args(found.annotation))
        model = next(
            (each for each in inner if isinstance(each, type) and issubclass(each, BaseModel)), model
        )
    return model


def _within(data: Any, loc: Sequence[str | int]) -> KeyPath:
    """The steps of `loc` that exist in `data`: the validator adds names of union members to its own."""
    path: KeyPath = ()
    for step in loc:
        children = data if isinstance(data, dict) else dict(enumerate(data)) if isinstance(data, list) else {}
        if step in children:
            data = children[step]
            path = (*path, step)
    return path


def _value(data: Any, path: KeyPath) -> Any:
    """What stands at `path`, as it was written: validators may have turned it into something else."""
    for step in path:
        data = data[step]
    return data


def _sentence(part: Any, where: KeyPath, value: Any) -> str:
    text = str(part["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    if isinstance(part.get("ctx", {}).get("error"), OptionError):
        return text
    if secret_key(where) and isinstance(value, str):
        return scrubbed(text, value)
    return text


def scrubbed(text: str, secret: str) -> str:
    """`text` without any piece of `secret` that is long enough to tell something."""
    for piece in sorted(re.split(r"[\s=:/@?&'\"]+", secret), key=len, reverse=True):
        if len(piece) >= 4:
            text = text.replace(piece, MASK)
    return text
