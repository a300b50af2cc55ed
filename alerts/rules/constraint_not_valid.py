"""A constraint that existing rows need not satisfy."""

from typing import Any

from pydantic import Field

from alerts.rules import _objects
from alerts.rules._objects import ObjectTrouble, shown_name
from alerts.rules._together import SCHEMA_CHANGE
from collectors.constraints import ConstraintsReading, UnprovenConstraint
from pgvigil.model.evidence import Figure, Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_name
from pgvigil.units import DurationS


class ConstraintNotValidParams(SeverityParams):
    for_s: DurationS = Field(3600.0, alias="for", description="How long it must hold before it fires.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ConstraintNotValidParams, context: Context
) -> Judgement:
    rows: ConstraintsReading = reading.rows
    return _objects.judge(RULE.name, reading, rows.unproven, params, context, _describe)


def _describe(row: UnprovenConstraint) -> ObjectTrouble:
    relation = quote_name(row.schema, row.relation)
    name = quote_identifier(row.name)
    state = "not valid" if row.enforced else "not enforced"
    return ObjectTrouble(
        subject=f"constraint {quote_name(row.schema, row.relation, row.name)}",
        summary=f"Constraint {shown_name(name)} on {shown_name(relation)} is {state} ({row.kind})",
        impact=_impact(row),
        figures=_figures(row, relation, state),
        definition=row.definition,
        cause=_cause(row),
        steps=_steps(row, relation, name),
    )


def _impact(row: UnprovenConstraint) -> str:
    if not row.enforced:
        return "Neither old nor new rows are checked; the constraint is a comment, and nothing more."
    return "New rows are checked; rows from before it may violate it, and the planner does not rely on it."


def _figures(row: UnprovenConstraint, relation: str, state: str) -> tuple[Figure, ...]:
    rows = "unknown" if row.estimated_rows is None else f"about {row.estimated_rows:,.0f}"
    return (
        Figure("Domain" if row.on_domain else "Table", shown_name(relation)),
        Figure("Kind", f"{row.kind}, {state}"),
        *(() if row.on_domain else (Figure("Rows to check", rows),)),
    )


def _cause(row: UnprovenConstraint) -> str:
    if not row.enforced:
        return "It was created or altered NOT ENFORCED."
    return "It was added NOT VALID, as it should be on a large table, and the second step was forgotten or failed."


def _steps(row: UnprovenConstraint, relation: str, name: str) -> tuple[Step, ...]:
    if not row.enforced:
        return _enforce(row, relation, name)
    if row.on_domain:
        return (
            Step(
                "Validate it. Every table with a column of this domain is read, under SHARE locks: writes wait.",
                f"ALTER DOMAIN {relation} VALIDATE CONSTRAINT {name}",
            ),
        )
    also = ", and ROW SHARE on the referenced table" if row.kind == "foreign key" else ""
    return (
        Step(
            "Validate it. It reads the whole table under SHARE UPDATE EXCLUSIVE: reads and writes go on"
            f"{also}. A lock_timeout keeps it from waiting behind others.",
            f"SET lock_timeout = '2s'; ALTER TABLE {relation} VALIDATE CONSTRAINT {name}",
        ),
        Step(
            "If it fails, the error names the first row that violates it: repair the rows, then validate again."
        ),
    )


def _enforce(row: UnprovenConstraint, relation: str, name: str) -> tuple[Step, ...]:
    if row.kind == "foreign key":
        return (
            Step(
                "Enforce it, if it is meant to hold. All rows are checked while reads and writes of the table wait:"
                " choose a quiet hour.",
                f"SET lock_timeout = '2s'; ALTER TABLE {relation} ALTER CONSTRAINT {name} ENFORCED",
            ),
        )
    return (
        Step(
            "A check constraint cannot be altered to ENFORCED in PostgreSQL 18: add it again as NOT VALID under"
            " another name, validate that one, then drop this one."
        ),
    )


RULE = Rule(
    name="constraint_not_valid",
    watches=("constraints",),
    params=ConstraintNotValidParams,
    evaluate=evaluate,
    together=SCHEMA_CHANGE,
    doc=RuleDoc(
        meaning="A foreign key, check or not-null constraint is NOT VALID (rows from before it were never"
        " checked) or NOT ENFORCED (no row is checked at all). People and programs read the schema and trust a"
        " guarantee that is not there.",
        magnitude="",
        why_these_defaults="Adding a constraint NOT VALID and validating it afterwards is the right way on a"
        " large table, so an hour is given for the second step. It is a warning: nothing is broken yet, and"
        " nobody needs to get up for it. Inherited copies follow their parent and are not told apart.",
        evidence="The constraint with its table, kind and definition, and about how many rows a validation reads.",
        what_to_do="VALIDATE CONSTRAINT: it lets reads and writes go on. If it fails, repair the rows it names.",
        how_to_look="""\
SELECT conrelid::regclass, conname, contype
FROM pg_constraint
WHERE NOT convalidated AND conparentid = 0""",
    ),
)
