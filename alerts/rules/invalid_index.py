"""An index that costs and does not serve."""

import re
from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules import _objects
from alerts.rules._objects import ObjectTrouble, shown_name
from alerts.rules._together import SCHEMA_CHANGE
from collectors.constraints import ConstraintsReading, InvalidIndex
from pgvigil.model.evidence import Figure, Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_name, quote_regclass
from pgvigil.units import DurationS, format_size

# REINDEX CONCURRENTLY names its new index ..._ccnew and, after the swap, the old one ..._ccold (and a number
# where the name was taken).
_LEFT_OVER = re.compile(r"_cc(new|old)\d*$")


class InvalidIndexParams(SeverityParams):
    for_s: DurationS = Field(1800.0, alias="for", description="How long it must hold before it fires.")


def evaluate(reading: Snapshot[Any] | Delta[Any], params: InvalidIndexParams, context: Context) -> Judgement:
    rows: ConstraintsReading = reading.rows
    return _objects.judge(RULE.name, reading, rows.invalid, params, context, _describe, _unjudged)


def _unjudged(row: InvalidIndex) -> str:
    """While a build or a concurrent drop runs, nobody can tell whether the index will end well."""
    if row.build_phase is not None:
        return f"a build is running: {row.build_phase}"
    return "a session is working on the index" if row.ddl else _objects.locked(row)


def _describe(row: InvalidIndex) -> ObjectTrouble:
    name = quote_name(row.schema, row.name)
    return ObjectTrouble(
        subject=f"index {name}",
        summary=f"Index {shown_name(name)} is invalid{_size(row)}",
        impact=_impact(row),
        figures=_figures(row),
        definition=row.definition,
        cause=_cause(row),
        steps=_steps(row, name),
    )


def _size(row: InvalidIndex) -> str:
    return "" if not row.size_bytes else f" ({format_size(row.size_bytes)})"


def _impact(row: InvalidIndex) -> str:
    if row.partitioned:
        missing = counted(max(0, row.partitions - row.attached), "partition")
        return f"No query can rely on it for the whole table: {missing} without an attached index."
    unique = " It does not prove that existing rows are unique." if row.unique else ""
    if row.ready:
        return f"Every write maintains it, and no query uses it.{unique}"
    return f"No query uses it and no write maintains it; it takes space.{unique}"


def _figures(row: InvalidIndex) -> tuple[Figure, ...]:
    state = f"indisvalid=f indisready={'t' if row.ready else 'f'} indislive={'t' if row.live else 'f'}"
    return (
        Figure("Table", shown_name(quote_name(row.relation_schema, row.relation))),
        Figure("State", state),
        *(() if row.size_bytes is None else (Figure("Size", format_size(row.size_bytes)),)),
        *(() if row.constraint is None else (Figure("Constraint", shown_name(row.constraint)),)),
        *((Figure("Attached", f"{row.attached:,} of {row.partitions:,} partitions"),) * row.partitioned),
    )


def _cause(row: InvalidIndex) -> str:
    if row.partitioned:
        return "It was created ON ONLY the partitioned table, and not every partition's index was attached."
    if not row.live:
        return "A DROP INDEX CONCURRENTLY was interrupted."
    if _LEFT_OVER.search(row.name):
        return "A REINDEX CONCURRENTLY was interrupted and left this index behind."
    return "A CREATE INDEX CONCURRENTLY failed or was cancelled: a duplicate key, a deadlock, a time-out."


def _steps(row: InvalidIndex, name: str) -> tuple[Step, ...]:
    if row.partitioned:
        return _attach(row, name)
    if row.schema == "pg_toast":
        return (
            Step("Make sure that no REINDEX CONCURRENTLY is running (pg_stat_progress_create_index)."),
            Step("Drop it, as a superuser: the TOAST table's own index is in place.", _drop(name)),
        )
    if not row.partition and (not row.live or _LEFT_OVER.search(row.name)):
        return (
            Step("Look whether the index that it was to replace is there and valid: \\d of the table."),
            Step("Drop it: nothing uses it. Reads and writes go on.", _drop(name)),
        )
    rebuild = Step(
        "Rebuild it: reads and writes go on; it needs as much disk space again, and time. A unique index whose"
        " build found duplicates will fail again: remove those first.",
        f"REINDEX INDEX CONCURRENTLY {name}",
    )
    if row.partition or row.constraint is not None:
        return (rebuild,)
    return (rebuild, Step("Or drop it, if nobody needs it.", _drop(name)))


def _drop(name: str) -> str:
    return f"DROP INDEX CONCURRENTLY {name}"


def _attach(row: InvalidIndex, name: str) -> tuple[Step, ...]:
    table = quote_regclass(row.relation_schema, row.relation)
    index = quote_regclass(row.schema, row.name)
    return (
        Step(
            "See which partitions have no attached index.",
            f"SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = {table}::regclass EXCEPT"
            " SELECT i.indrelid::regclass FROM pg_inherits AS h JOIN pg_index AS i ON i.indexrelid = h.inhrelid"
            f" WHERE h.inhparent = {index}::regclass",
        ),
        Step("For each: CREATE INDEX CONCURRENTLY on the partition, with the same columns."),
        Step(
            "Then attach it; after the last one the parent becomes valid by itself.",
            f"ALTER INDEX {name} ATTACH PARTITION partition_index",
        ),
    )


RULE = Rule(
    name="invalid_index",
    watches=("constraints",),
    params=InvalidIndexParams,
    evaluate=evaluate,
    together=SCHEMA_CHANGE,
    doc=RuleDoc(
        meaning="An index is not valid: an interrupted concurrent build, rebuild or drop left it behind. Queries"
        " never use it, and most of them still cost every write. The index that somebody wanted is missing.",
        magnitude="",
        why_these_defaults="While a build or concurrent drop runs the index is rightly invalid and is not"
        " reported; half an hour more leaves time to try again by hand. A warning: it is slow, not broken.",
        evidence="The index, its table, size, state flags and definition; the constraint that it backs; for a"
        " partitioned index how many partitions have theirs.",
        what_to_do="What REINDEX CONCURRENTLY left behind (_ccnew, _ccold) is dropped; a failed CREATE INDEX"
        " CONCURRENTLY is rebuilt or dropped; an index on a partitioned table needs its partitions' indexes"
        " attached.",
        how_to_look="""\
SELECT indexrelid::regclass AS index, indrelid::regclass AS table, indisvalid, indisready, indislive
FROM pg_index
WHERE NOT (indisvalid AND indisready AND indislive)""",
    ),
)
