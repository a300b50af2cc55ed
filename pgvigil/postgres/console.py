"""PgBouncer's admin console: the simple query protocol, SHOW commands, and no SQL at all.

It has neither statement_timeout nor settings, so the deadline of our own is the only one.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.kind import TargetKind
from pgvigil.postgres.channel import AnyCursor, Channel, Parameters
from pgvigil.postgres.errors import ReadError, classify
from pgvigil.postgres.query import Column, Show

DATABASE = "pgbouncer"  # the console has this name and no other

# What decides what our figures mean.
SETTINGS = ("default_pool_size", "max_client_conn", "pool_mode", "query_wait_timeout")

_NUMBERS = frozenset({20, 21, 23, 1700})  # int8, int2, int4, and numeric, which the counters are
_PROTOCOL_VIOLATION = "08P01"  # the one SQLSTATE that the console gives to whatever it does not do
_VERSION = re.compile(r"PgBouncer\D*(\d+)\.(\d+)(?:\.(\d+))?", re.IGNORECASE)
_ERRORS = (
    (re.compile(r"admin access needed|not allowed"), FailureKind.PRIVILEGE),
    (re.compile(r"invalid command|unsupported"), FailureKind.UNDEFINED),
)


class _Version(NamedTuple):
    version: str


class _Setting(NamedTuple):
    key: str
    value: str | None


VERSION = Show(
    name="pgbouncer_version",
    row=_Version,
    columns=(Column("version", "version", "Name and version."),),
    source="SHOW VERSION",
)

CONFIG = Show(
    name="pgbouncer_config",
    row=_Setting,
    columns=(Column("key", "key", "Setting."), Column("value", "value", "Value in force.")),
    source="SHOW CONFIG",
)


class ConsoleChannel(Channel):
    """A channel to the console: see there for deadlines and threads."""

    def show(self, query: Show[Any], timeout_s: float) -> tuple[Any, ...]:
        """All rows, typed as the query's row class; None for what this version does not tell. Raises ReadError."""

        def typed(cursor: AnyCursor) -> tuple[Any, ...]:
            names, rows = _answer(cursor)
            places = query.places(names)
            if all(place is None for place in places):
                raise self._broken("the answer belongs to another question")
            return tuple(
                query.row._make(None if place is None else row[place] for place in places) for row in rows
            )

        try:
            return self.ask(query.source, None, timeout_s, typed)
        except (ValueError, AttributeError):  # no number where one is promised, no name of a column
            raise self._broken("the answer is damaged") from None

    def _broken(self, message: str) -> ReadError:
        self.close()
        return ReadError(Failure(FailureKind.PROTOCOL, message))

    def _run(self, text: bytes, parameters: Parameters, timeout_ms: int) -> AnyCursor:  # noqa: ARG002 - it has none
        return self._connection.cursor().execute(text)  # without parameters, in text: the simple protocol

    def _classified(self, error: psycopg.Error) -> Failure:
        """Its SQLSTATE means nothing, so that its words decide."""
        failure = classify(error)
        if error.sqlstate != _PROTOCOL_VIOLATION or self.closed:
            return failure
        kind = next((kind for words, kind in _ERRORS if words.search(failure.message)), FailureKind.SQL)
        return Failure(kind, failure.message, error.sqlstate)


def _answer(cursor: AnyCursor) -> tuple[Sequence[str], list[list[Any]]]:
    """Names of the columns, and the rows. Raises ValueError or AttributeError for what cannot be one."""
    result = cursor.pgresult
    assert result is not None  # noqa: S101 - psycopg's type allows for a cursor that ran nothing
    columns = range(result.nfields)
    names = [(result.fname(place) or b"").decode("utf-8", "replace") for place in columns]
    numbers = [result.ftype(place) in _NUMBERS for place in columns]
    rows = [
        [_value(result.get_value(row, place), number=numbers[place]) for place in columns]
        for row in range(result.ntuples)
    ]
    return names, rows


def _value(raw: bytes | None, *, number: bool) -> int | str | None:
    if raw is None:
        return None
    return int(raw) if number else raw.decode("utf-8", "replace")


def discover(channel: ConsoleChannel, role: str, timeout_s: float) -> Facts:
    """What the console tells of the pooler. Raises ReadError, for anything that is no PgBouncer as well."""
    try:
        said = "".join(row.version or "" for row in channel.show(VERSION, timeout_s))
    except ReadError as error:
        if error.failure.kind is not FailureKind.UNDEFINED:
            raise
        said = ""
    version = _VERSION.search(said)
    if version is None:
        channel.close()
        message = 'what answers is not the admin console of a PgBouncer, as kind = "pgbouncer" expects'
        raise ReadError(Failure(FailureKind.PROTOCOL, message))
    settings = {row.key: row.value or "" for row in channel.show(CONFIG, timeout_s)}
    major, minor, patch = (int(part or 0) for part in version.groups())
    return Facts(
        kind=TargetKind.PGBOUNCER,
        version_num=10_000 * major + 100 * minor + patch,
        version=f"{major}.{minor}.{patch}",
        database=DATABASE,
        system_identifier=None,
        in_recovery=False,
        started_at=None,
        role=role,
        superuser=False,
        monitor=True,
        max_connections=_number(settings.get("max_client_conn", "")),
        reserved_connections=0,
        settings={name: settings[name] for name in SETTINGS if name in settings},
    )


def refuse(server_version: str) -> None:
    """Raises ReadError where it is a console that gave this version at the start of a session, and not a server."""
    if server_version.endswith("/bouncer"):
        message = (
            'what answers is the admin console of a PgBouncer: write kind = "pgbouncer", or another dbname'
        )
        raise ReadError(Failure(FailureKind.PROTOCOL, message))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
