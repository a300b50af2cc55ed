"""A foreign key that is declared valid while its triggers are off."""

from typing import Any

from pydantic import Field

from alerts.rules import _objects
from alerts.rules._objects import ObjectTrouble, shown_name
from alerts.rules._together import SCHEMA_CHANGE
from collectors.constraints import ConstraintsReading, DisabledForeignKey
from pgvigil.model.evidence import Figure, Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_name
from pgvigil.units import DurationS


class ForeignKeyTriggerDisabledParams(SeverityParams):
    for_s: DurationS = Field(900.0, alias="for", description="How long it must hold before it fires.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ForeignKeyTriggerDisabledParams, context: Context
) -> Judgement:
    rows: ConstraintsReading = reading.rows
    return _objects.judge(RULE.name, reading, rows.disabled, params, context, _describe)


def _describe(row: DisabledForeignKey) -> ObjectTrouble:
    relation = quote_name(row.schema, row.relation)
    referenced = quote_name(row.referenced_schema, row.referenced_relation)
    name = quote_identifier(row.name)
    return ObjectTrouble(
        subject=f"constraint {quote_name(row.schema, row.relation, row.name)}",
        summary=f"Foreign key {shown_name(name)} on {shown_name(relation)} is not checked: triggers disabled",
        impact=_impact(row),
        figures=(
            Figure("Table", shown_name(relation)),
            Figure("Refers to", shown_name(referenced)),
            Figure("Off", _sides(row)),
        ),
        definition=row.definition,
        cause=_cause(row),
        steps=_steps(row, relation, referenced),
    )


def _impact(row: DisabledForeignKey) -> str:
    orphans = "rows whose key does not exist can be written"
    stranded = "keys that rows refer to can be deleted or changed"
    found = [text for off, text in ((row.checks_off, orphans), (row.actions_off, stranded)) if off]
    return f"The catalogue still calls it valid, and {' and '.join(found)}."


def _sides(row: DisabledForeignKey) -> str:
    sides = (
        (row.checks_off, "checks of new rows"),
        (row.actions_off, "actions on the referenced table"),
    )
    found = " and ".join(text for off, text in sides if off)
    return f"{found}, except for replication roles" if row.replica_only else found


def _cause(row: DisabledForeignKey) -> str:
    if row.replica_only:
        return "Somebody ran ENABLE REPLICA TRIGGER on a table that applications write to."
    return (
        "A bulk load or restore ran DISABLE TRIGGER ALL (pg_restore --disable-triggers) and did not end well."
    )


def _steps(row: DisabledForeignKey, relation: str, referenced: str) -> tuple[Step, ...]:
    tables = [table for off, table in ((row.checks_off, relation), (row.actions_off, referenced)) if off]
    return (
        Step("Make sure that no load is running that needs them off (pg_stat_activity)."),
        *(
            Step(
                "Switch them on, as a superuser. It enables the table's other disabled triggers as well: see \\d"
                " first.",
                f"SET lock_timeout = '2s'; ALTER TABLE {table} ENABLE TRIGGER ALL",
            )
            for table in dict.fromkeys(tables)
        ),
        Step(
            "Rows written meanwhile were never checked, and switching on does not check them. Look for orphans:",
            _orphans(row, relation, referenced),
        ),
    )


def _orphans(row: DisabledForeignKey, relation: str, referenced: str) -> str:
    """MATCH SIMPLE, as almost every foreign key: a row with a NULL in its key refers to nothing."""
    ours = [quote_identifier(column) for column in row.columns]
    theirs = [quote_identifier(column) for column in row.referenced_columns]
    known = " AND ".join(f"c.{column} IS NOT NULL" for column in ours)
    same = " AND ".join(f"p.{their} = c.{our}" for our, their in zip(ours, theirs, strict=True))
    return (
        f"SELECT c.* FROM {relation} AS c WHERE {known}"
        f" AND NOT EXISTS (SELECT FROM {referenced} AS p WHERE {same}) LIMIT 100"
    )


RULE = Rule(
    name="foreign_key_trigger_disabled",
    watches=("constraints",),
    params=ForeignKeyTriggerDisabledParams,
    evaluate=evaluate,
    together=SCHEMA_CHANGE,
    doc=RuleDoc(
        meaning="The triggers that make a foreign key hold are disabled, or fire for replication only. The"
        " schema still shows the constraint as valid, and orphans can appear with every write.",
        magnitude="",
        why_these_defaults="Loads switch triggers off for minutes on purpose, so a quarter of an hour is"
        " given; after that it was forgotten, and each minute more can leave rows that no constraint will find.",
        evidence="The foreign key, which side is off (checks of new rows, or actions on the referenced table),"
        " and its definition.",
        what_to_do="Enable the triggers, then look for orphans: enabling checks nothing that was written before.",
        how_to_look="""\
SELECT t.tgrelid::regclass, c.conname, t.tgname, t.tgenabled
FROM pg_trigger AS t
JOIN pg_constraint AS c ON c.oid = t.tgconstraint
WHERE t.tgisinternal AND t.tgenabled IN ('D', 'R')""",
    ),
)
