"""What is wrong with a configuration: every error at once, each with its place and the way out."""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from daemon.settings.locate import KeyPath
from pgvigil.redact import is_secret_name, redact

_HOLD_SECRETS = ("dsn", "password_command")  # by their names they do not, but their values may


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigError:
    """One error. `file` is a path, or the name of an environment variable; `value` is empty for secrets."""

    file: str
    problem: str
    line: int | None = None
    key: str = ""
    value: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        subject = f"{self.key} = {self.value}" if self.value else self.key
        head = f"{place}: {subject}: {self.problem}" if subject else f"{place}: {self.problem}"
        return f"{head}; {self.hint}" if self.hint else head


class ConfigErrors(Exception):  # noqa: N818 - it carries many, and its name says so
    """The configuration cannot be used. Exit code 64."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a file and a line, or an environment variable (line 0)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Report:
    """Collects errors while a document is read; keys find their origin by their path."""

    def __init__(self) -> None:
        self.origins: dict[KeyPath, Origin] = {}
        self._errors: list[ConfigError] = []

    def origin(self, path: KeyPath) -> Origin:
        """Where `path` was written, or the nearest table above it that was."""
        for length in range(len(path), 0, -1):
            if found := self.origins.get(path[:length]):
                return found
        return self.origins[()]

    def add(self, path: KeyPath, problem: str, *, value: Any = None, hint: str = "") -> None:
        origin = self.origin(path)
        self._errors.append(
            ConfigError(
                file=origin.file,
                line=origin.line or None,
                key=key_text(path),
                value="" if value is None else shown(path, value),
                problem=redact(problem),
                hint=redact(hint),
            )
        )

    def add_at(self, origin: Origin, problem: str, *, hint: str = "") -> None:
        """An error that belongs to a place and to no key of the merged document."""
        self._errors.append(
            ConfigError(file=origin.file, line=origin.line or None, problem=problem, hint=hint)
        )

    @property
    def has_errors(self) -> bool:
        return bool(self._errors)

    def raise_if_any(self) -> None:
        if self._errors:
            unique = dict.fromkeys(self._errors)
            raise ConfigErrors(tuple(sorted(unique, key=lambda e: (e.file, e.line or 0, e.key))))


def key_text(path: KeyPath) -> str:
    """`("targets", 0, "name")` as people write it: `targets[0].name`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.replace("_", "").replace("-", "").isalnum() and part.isascii()
            text += ("." if text else "") + (part if bare else json.dumps(part, ensure_ascii=True))
    return text


def shown(path: KeyPath, value: Any) -> str:
    """`value` as it may be shown: nothing for what holds or makes a secret, shortened when long."""
    if secret_key(path) or isinstance(value, dict):
        return ""
    text = redact(json.dumps(value, default=str))
    return text if len(text) <= 80 else text[:77] + "..."


def secret_key(path: KeyPath) -> bool:
    """Whether what stands at a key may not be shown."""
    names = [part for part in path if isinstance(part, str)]
    return bool(names) and (is_secret_name(names[-1]) or names[-1] in _HOLD_SECRETS)


def nearest(word: object, valid: list[str] | tuple[str, ...]) -> str:
    """A hint that names the closest of `valid`, and all of them when they are few."""
    close = get_close_matches(str(word), valid, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "valid here: " + ", ".join(sorted(valid)) if 0 < len(valid) <= 16 else ""
