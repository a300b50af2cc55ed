"""The rules made of the checks in `schemas/checks/`: one for each file, judged by its header."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, create_model

from alerts.rules import _objects
from alerts.rules._confirmed import Elsewhere
from alerts.rules._objects import ObjectTrouble, shown_name
from alerts.rules._peers import told_by_primary
from pgvigil.model.evidence import Figure, Step
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import readable
from pgvigil.text import one_line
from pgvigil.units import DurationS, SizeBytes
from schemas.catalogue import checks
from schemas.check import Check, Comparison
from schemas.collectors.schema_checks import COLLECTOR, SchemaReading
from schemas.rows import MOST_KNOWN, MOST_TOLD, CheckRow

_LONGEST_SUMMARY = 300
_UNITS: Mapping[Literal["bytes", "s", ""], Any] = {"bytes": SizeBytes, "s": DurationS, "": float}


class CheckParams(SeverityParams):
    ignore: tuple[str, ...] = Field(
        (), description='Patterns of tables and objects that are not judged: "public.audit_*".'
    )


# --- one reading ------------------------------------------------------------------------------------------


def judge(
    check: Check, reading: Snapshot[Any] | Delta[Any], params: CheckParams, context: Context
) -> Judgement:
    """A finding for each row that the limits let through: the heaviest are told, the rest are known to be there."""
    rows: SchemaReading = reading.rows
    database = reading.database if isinstance(reading, Snapshot) else None
    here = Scope(databases=None if database is None else frozenset({database}))
    if told_by_primary(context) or not _applies(check, rows):
        return Judgement((), here)
    if check.name in rows.failed:
        reason = f"the check could not be made: {rows.failed[check.name]}"
        return Judgement((), replace(here, only=frozenset(), reason=reason))
    found = [row for row in rows.found[check.name] if _counts(row, check, params)]
    unjudged: Callable[[CheckRow], str] = _objects.locked
    if check.confirmed_by_standbys:
        elsewhere = Elsewhere(check, rows, database, context, partial(_is_known, check=check, params=params))
        found = [row for row in found if not elsewhere.refuted(row)]
        unjudged = elsewhere.unjudged
    describe = partial(_describe, check=check, params=params, among=len(found))
    judgement = _objects.judge(check.name, reading, found, params, context, describe, unjudged)
    return _within_what_is_known(judgement, rows.found[check.name])


def _applies(check: Check, rows: SchemaReading) -> bool:
    return check.name in rows.found or check.name in rows.failed


def _within_what_is_known(judgement: Judgement, rows: Sequence[CheckRow]) -> Judgement:
    """Of more rows than a reading holds nobody can say that one is gone."""
    if not rows or rows[0].found <= MOST_KNOWN:
        return judgement
    known = frozenset(readable(row.subject) for row in rows)
    reason = f"only the first {MOST_KNOWN:,} of {rows[0].found:,} are looked at"
    return replace(judgement, scope=replace(judgement.scope, only=known, reason=reason))


# --- limits -----------------------------------------------------------------------------------------------


def _counts(row: CheckRow, check: Check, params: CheckParams) -> bool:
    names = (row.relation, row.subject, row.subject.partition(" ")[2])
    if any(fnmatchcase(name, pattern) for pattern in params.ignore for name in names):
        return False
    return all(verdict is not False for verdict in _verdicts(row, check, params, "tell_from"))


def _is_known(row: CheckRow, check: Check, params: CheckParams) -> bool:
    return all(_verdicts(row, check, params, "know_from"))


def _level(row: CheckRow, check: Check, params: CheckParams) -> Level:
    """HOLD where it is not known for long enough, and for what is not told one by one: that begins and ends nothing."""
    if row.place > MOST_TOLD or not _is_known(row, check, params):
        return Level.HOLD
    if any(_verdicts(row, check, params, "warn_from")):
        return max(params.level, Level.WARNING)
    return params.level


def _verdicts(
    row: CheckRow, check: Check, params: CheckParams, comparison: Comparison
) -> Iterator[bool | None]:
    """Whether each limit of this kind is reached; None where the measure is not known."""
    for limit in check.compared(comparison):
        measure = row.measures.get(limit.measure)
        yield None if measure is None else measure >= getattr(params, limit.key)


# --- what is said -----------------------------------------------------------------------------------------


def _describe(row: CheckRow, *, check: Check, params: CheckParams, among: int) -> ObjectTrouble:
    subject = readable(row.subject)
    return ObjectTrouble(
        subject=subject,
        summary=one_line(row.summary, _LONGEST_SUMMARY) or shown_name(subject),
        impact=row.impact,
        figures=tuple(_figures(row, among)),
        definition=row.definition,
        cause=row.cause or "",
        steps=tuple(_steps(row)),
        level=_level(row, check, params),
    )


def _figures(row: CheckRow, among: int) -> Iterator[Figure]:
    yield Figure("Table", shown_name(readable(row.relation)))
    for name, value in row.figures:
        if name is not None and value is not None:
            yield Figure(name, one_line(value))
    if among > MOST_TOLD:
        yield Figure("Of this kind", f"{among:,} in this database; the first {MOST_TOLD} are told")


def _steps(row: CheckRow) -> Iterator[Step]:
    for words, command in row.steps:
        if words is not None:
            yield Step(one_line(readable(words), 500), None if command is None else readable(command))


# --- the rules --------------------------------------------------------------------------------------------


def rule_of(check: Check) -> Rule[CheckParams]:
    """The rule that a file of checks is."""
    return Rule(
        name=check.name,
        watches=(COLLECTOR.name,),
        params=params_of(check),
        evaluate=partial(judge, check),
        doc=RuleDoc(
            meaning=check.meaning,
            magnitude="",
            why_these_defaults=check.why,
            evidence=check.evidence,
            what_to_do=check.what_to_do,
            how_to_look=check.how_to_look,
        ),
    )


def params_of(check: Check) -> type[CheckParams]:
    """Its section: what all checks have, and a key for each limit."""
    fields: dict[str, Any] = {
        "severity": (
            str,
            Field(
                check.severity,
                pattern="^(info|warning|critical)$",
                description="info, warning or critical.",
            ),
        ),
        "for_s": (
            DurationS,
            Field(check.for_s, alias="for", description="How long it must hold before it fires."),
        ),
    }
    for limit in check.limits:
        fields[limit.key] = (_UNITS[limit.unit], Field(limit.default_value, description=limit.words))
    return create_model(f"{check.name} settings", __base__=CheckParams, **fields)


RULES: Mapping[str, Rule[CheckParams]] = MappingProxyType(
    {name: rule_of(check) for name, check in checks().items()}
)
