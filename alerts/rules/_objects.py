"""What the rules about database objects share: one finding per object, and locked objects are not judged."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from alerts.rules._peers import told_by_primary
from pgvigil.model.evidence import Block, BlockKind, Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, SeverityParams
from pgvigil.text import one_line, printable


class _Row(Protocol):
    @property
    def locked(self) -> bool: ...


R = TypeVar("R", bound=_Row)


def locked(row: _Row) -> str:
    """Why nothing can be said of the object now; empty when it can be judged."""
    return "the relation is under, or waited for with, ACCESS EXCLUSIVE" if row.locked else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectTrouble:
    """What a rule says about one object; the rest of the finding is the same for all such rules.

    `level` where it is not the same for all objects: else it is the rule's severity.
    """

    subject: str
    summary: str
    impact: str
    figures: tuple[Figure, ...]
    definition: str | None
    cause: str
    steps: tuple[Step, ...]
    level: Level | None = None


def judge(
    rule: str,
    reading: Snapshot[Any] | Delta[Any],
    rows: Iterable[R],
    params: SeverityParams,
    context: Context,
    describe: Callable[[R], ObjectTrouble],
    unjudged: Callable[[R], str] = locked,
) -> Judgement:
    """A finding per row, in the scope of the reading's database; `unjudged` says why a row is not covered.

    On a standby whose primary is watched nothing is found: the catalogue is the primary's, which tells it.
    """
    rows = () if told_by_primary(context) else rows
    database = reading.database if isinstance(reading, Snapshot) else None
    told = [(unjudged(row), describe(row)) for row in rows]
    found = tuple(_finding(rule, database, trouble, params, context) for why, trouble in told if not why)
    return Judgement(
        found,
        Scope(
            databases=None if database is None else frozenset({database}),
            not_covered=frozenset(trouble.subject for why, trouble in told if why),
            reason="; ".join(sorted({why for why, _ in told if why})),
        ),
    )


def shown_name(name: str) -> str:
    """A quoted name as one line of a sentence."""
    return one_line(name, 120)


def _finding(
    rule: str, database: str | None, trouble: ObjectTrouble, params: SeverityParams, context: Context
) -> Finding:
    definition = trouble.definition
    return Finding(
        rule=rule,
        target=context.target,
        database=database,
        subject=trouble.subject,
        level=params.level if trouble.level is None else trouble.level,
        summary=trouble.summary,
        evidence=Evidence(
            impact=trouble.impact,
            figures=trouble.figures,
            blocks=()
            if definition is None
            else (Block(BlockKind.SQL, "Definition", printable(definition)[:700]),),
            cause=trouble.cause,
        ),
        steps=trouble.steps,
    )
