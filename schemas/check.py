"""A check of a database's design: a query, and a header that says what its rows mean.

The file is the check: `schemas/checks/duplicate_index.sql` is the rule `duplicate_index`, with its section of the
configuration and its page. The header is the comment at the top of the file, one `-- key: text` after another; a text
goes on in lines that are indented further. What follows is one query, as psql runs it:

    -- meaning: What a row means, and how bad it is.
    -- severity: info
    -- for: 1h
    -- why: The reason and the source of each default.
    -- evidence: What the message shows.
    -- what_to_do: The safe next steps.
    -- tell_from: min_size = 10MB of size_bytes: A smaller index is not told of.
    SELECT ... AS subject, ... ;

Three keys may occur any number of times, and make a key of the rule's section each, whose value is compared with
a measure of the row. `tell_from`: a row counts from there on. `know_from`: below it nobody can tell; nothing begins,
and nothing ends. `warn_from`: from there on it is a warning, whatever the `severity`. A measure whose name ends in
`_bytes` is a size, one in `_s` a duration, any other a number.

`needs: relation.column, ...` names what a server must have for the check to apply. `on_standbys: confirm` counts a row
only where the same is found on every standby. `how_to_look` is the SQL for people, where the query itself is not.

The query's columns are those of `CheckRow`, in any order, and some may be missing (`OPTIONAL`). It must not call
anything that opens a relation (`FORBIDDEN`): what is locked by DDL is none of its business, the frame sees to that.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pgvigil.units import parse_duration_s, parse_size_bytes

Comparison = Literal["tell_from", "know_from", "warn_from"]

_COMPARISONS: tuple[Comparison, ...] = ("tell_from", "know_from", "warn_from")
_REQUIRED = ("meaning", "severity", "for", "why", "evidence", "what_to_do")
_OPTIONAL = ("how_to_look", "needs", "on_standbys")
_SEVERITIES = ("info", "warning", "critical")
_KEY = re.compile(r"-- ([a-z_]+):(?: (.*))?")
_MORE = re.compile(r"--\s{2,}(.*)|--")
_LIMIT = re.compile(r"([a-z][a-z0-9_]*) = (\S+) of ([a-z][a-z0-9_]*): (\S.*)")
_NEED = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")

# They open relations, and would stand in the queue behind DDL; views that call them are no better.
FORBIDDEN = re.compile(
    r"\b(pg_(relation|table|total_relation|indexes)_size|pg_get_(indexdef|constraintdef|viewdef|triggerdef|expr)"
    r"|pg_partition_tree|pg_partition_root|pg_partition_ancestors|pg_get_publication_tables"
    r"|pg_(indexes|views|matviews|publication_tables|sequences))\b"
)


class HeaderError(ValueError):
    """A file of a check is not as it must be; the text names file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A key of the rule's section: its value is compared with a measure of each row."""

    comparison: Comparison
    key: str
    default: str  # as it is written: "10MB"
    measure: str
    words: str

    @property
    def unit(self) -> Literal["bytes", "s", ""]:
        if self.measure.endswith("_bytes"):
            return "bytes"
        return "s" if self.measure.endswith("_s") else ""

    @property
    def default_value(self) -> float:
        """In the unit of the measure. Raises ValueError."""
        if self.unit == "bytes":
            return parse_size_bytes(self.default)
        return parse_duration_s(self.default) if self.unit else float(self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a file says; see the module."""

    name: str
    meaning: str
    severity: str
    for_s: float
    why: str
    evidence: str
    what_to_do: str
    how_to_look: str
    sql: str  # one query, without a semicolon at its end
    needs: tuple[str, ...] = ()
    confirmed_by_standbys: bool = False
    limits: tuple[Limit, ...] = ()

    def compared(self, comparison: Comparison) -> Iterator[Limit]:
        return (limit for limit in self.limits if limit.comparison == comparison)


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    line: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """As one line of prose."""
        return " ".join(line.strip() for line in self.lines if line.strip())


def parse(name: str, text: str) -> Check:
    """The check in the file `name`.sql. Raises HeaderError for the first thing that is wrong."""
    if re.fullmatch(r"[a-z][a-z0-9_]*", name) is None:
        raise HeaderError(f"{name}.sql: the name of a check is in lower case, with underscores")
    entries, first_line = _entries(name, text)
    single = _single(name, entries)
    sql = _query(name, text, first_line)
    return Check(
        name=name,
        meaning=single["meaning"].text,
        severity=_one_of(name, single["severity"], _SEVERITIES),
        for_s=_duration_s(name, single["for"]),
        why=single["why"].text,
        evidence=single["evidence"].text,
        what_to_do=single["what_to_do"].text,
        how_to_look="\n".join(single["how_to_look"].lines).strip() if "how_to_look" in single else f"{sql};",
        sql=sql,
        needs=_needs(name, single.get("needs")),
        confirmed_by_standbys="on_standbys" in single
        and bool(_one_of(name, single["on_standbys"], ("confirm",))),
        limits=tuple(_limits(name, entries)),
    )


def _entries(name: str, text: str) -> tuple[list[_Entry], int]:
    """The header's entries, and the number of the first line after it."""
    found: list[_Entry] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("--"):
            return found, number
        if begins := _KEY.fullmatch(line):
            found.append(_Entry(begins[1], number, (begins[2] or "",)))
        elif (goes_on := _MORE.fullmatch(line)) and found:
            last = found.pop()
            found.append(_Entry(last.key, last.line, (*last.lines, goes_on[1] or "")))
        else:
            raise _wrong(name, number, "neither '-- key: text' nor more of the text above, indented further")
    raise HeaderError(f"{name}.sql: there is no query after the header")


def _single(name: str, entries: Sequence[_Entry]) -> Mapping[str, _Entry]:
    """The keys that stand once."""
    found: dict[str, _Entry] = {}
    for entry in entries:
        if entry.key not in (*_REQUIRED, *_OPTIONAL, *_COMPARISONS):
            known = ", ".join((*_REQUIRED, *_OPTIONAL, *_COMPARISONS))
            raise _wrong(name, entry.line, f"unknown key {entry.key!r}; there are {known}")
        if not entry.text:
            raise _wrong(name, entry.line, f"{entry.key} says nothing")
        if entry.key in _COMPARISONS:
            continue
        if entry.key in found:
            raise _wrong(
                name, entry.line, f"{entry.key} stands here again; it is on line {found[entry.key].line}"
            )
        found[entry.key] = entry
    missing = [key for key in _REQUIRED if key not in found]
    if missing:
        raise HeaderError(f"{name}.sql: the header lacks {', '.join(missing)}")
    return found


def _limits(name: str, entries: Sequence[_Entry]) -> Iterator[Limit]:
    seen = {"enabled", "for", "keep_firing_for", "severity", "ignore"}
    for entry in entries:
        comparison = next((each for each in _COMPARISONS if each == entry.key), None)
        if comparison is None:
            continue
        parts = _LIMIT.fullmatch(entry.text)
        if parts is None:
            raise _wrong(name, entry.line, f"{entry.key} must be 'key = value of measure: what it means'")
        limit = Limit(comparison=comparison, key=parts[1], default=parts[2], measure=parts[3], words=parts[4])
        if limit.key in seen:
            raise _wrong(name, entry.line, f"the rule has a key {limit.key!r} already")
        seen.add(limit.key)
        try:
            limit.default_value  # noqa: B018 - for the error that it raises
        except ValueError as error:
            raise _wrong(name, entry.line, str(error)) from None
        yield limit


def _query(name: str, text: str, first_line: int) -> str:
    """The one query after the header, without its semicolon."""
    lines = text.splitlines()
    sql = "\n".join(lines[first_line - 1 :]).strip()
    if not sql.endswith(";"):
        raise HeaderError(f"{name}.sql: the query must end with a semicolon, as psql wants it")
    sql = sql.removesuffix(";").rstrip()
    for number, line in enumerate(lines[first_line - 1 :], first_line):
        if opening := FORBIDDEN.search(line.partition("--")[0]):
            raise _wrong(name, number, f"{opening[0]} opens relations; read the catalogue instead")
    return sql


def _needs(name: str, entry: _Entry | None) -> tuple[str, ...]:
    if entry is None:
        return ()
    needed = tuple(word.strip() for word in entry.text.split(","))
    for word in needed:
        if _NEED.fullmatch(word) is None:
            raise _wrong(name, entry.line, f"needs names relation.column, and {word!r} is none")
    return needed


def _one_of(name: str, entry: _Entry, choices: Sequence[str]) -> str:
    if entry.text not in choices:
        raise _wrong(
            name, entry.line, f"{entry.key} must be {' or '.join(choices)}, and it is {entry.text!r}"
        )
    return entry.text


def _duration_s(name: str, entry: _Entry) -> float:
    try:
        return parse_duration_s(entry.text)
    except ValueError as error:
        raise _wrong(name, entry.line, f"{entry.key}: {error}") from None


def _wrong(name: str, line: int, words: Any) -> HeaderError:
    return HeaderError(f"{name}.sql, line {line}: {words}")
