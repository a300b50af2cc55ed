"""A prepared transaction that nobody ends."""

from typing import Any

from pydantic import Field

from alerts.grading import counted, grade
from alerts.rules import _dormant
from alerts.rules._sessions import NOTABLE_XIDS, horizon_of
from collectors.prepared_transactions import PreparedTransaction
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, DurationParams, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line
from pgvigil.units import DurationS, format_duration


class PreparedTransactionOldParams(DurationParams):
    warning: DurationS | None = Field(900.0, description="Time since it was prepared.")
    critical: DurationS | None = Field(3600.0, description="Time since it was prepared.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: PreparedTransactionOldParams, context: Context
) -> Judgement:
    rows: tuple[PreparedTransaction, ...] = reading.rows
    graded = ((row, grade(row.age_s, params)) for row in rows)
    found = tuple(_finding(row, level, context) for row, level in graded if level is not None)
    return Judgement(found, Scope())


def entity(gid: str) -> str:
    """Its identity, as the rules write it that meet it among locks and snapshots."""
    return f"prepared {quote_text(gid)}"


def _finding(row: PreparedTransaction, level: Level, context: Context) -> Finding:
    name = one_line(quote_text(row.gid), 60)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=row.database,
        subject=entity(row.gid),
        level=level,
        summary=f"Prepared transaction {name} has been open for {format_duration(row.age_s)}"
        f" (user {one_line(row.owner, 40)}, {counted(row.locks, 'lock')})",
        value=row.age_s,
        evidence=Evidence(
            impact="It keeps its locks and holds back vacuum in every table, until somebody ends it; a restart does not.",
            figures=(
                Figure("Prepared transaction", name),
                Figure("Database", one_line(row.database)),
                Figure("Owner", one_line(row.owner)),
                Figure("Prepared", f"{row.prepared_at:%Y-%m-%d %H:%M:%SZ}"),
                Figure("Holds back vacuum by", counted(row.xid_age, "transaction")),
                Figure("Locks", _locks(row, context)),
            ),
            cause="A transaction manager that lost it, or a PREPARE TRANSACTION that nobody meant.",
        ),
        steps=_steps(row),
        about=frozenset({entity(row.gid)}),
        explains=frozenset({entity(row.gid), *((horizon_of(row.database),) * (row.xid_age >= NOTABLE_XIDS))}),
    )


def _locks(row: PreparedTransaction, context: Context) -> str:
    if row.strongest is None:
        return "none but its own"
    named = (context.relation(row.database_oid, oid) or f"relation {oid}" for oid in row.relations)
    on = ", ".join(one_line(name, 80) for name in named)
    return f"{row.locks:,}, the strongest {row.strongest}{' on ' + on if on else ''}"


def _steps(row: PreparedTransaction) -> tuple[Step, ...]:
    gid = quote_text(row.gid)
    return (
        Step("See whether it is still there.", f"SELECT * FROM pg_prepared_xacts WHERE gid = {gid}"),
        Step(
            "Ask the transaction manager that prepared it which way it went. If it was to be committed: connected to"
            f" database {one_line(row.database, 60)}, as {one_line(row.owner, 40)} or a superuser,",
            f"COMMIT PREPARED {gid}",
        ),
        Step("If it was to be rolled back, or nobody knows it any more:", f"ROLLBACK PREPARED {gid}"),
        Step(
            "If nothing here uses two-phase commit: max_prepared_transactions = 0 keeps this from happening."
        ),
    )


RULE = Rule(
    name="prepared_transaction_old",
    watches=("prepared_transactions",),
    params=PreparedTransactionOldParams,
    evaluate=evaluate,
    dormant=_dormant.no_prepared_transactions,
    absorbs=frozenset({"xmin_horizon_held"}),
    doc=RuleDoc(
        meaning="A transaction was prepared for a two-phase commit and neither committed nor rolled back. It keeps its"
        " locks, over restarts too, and vacuum cannot remove what it may still see: in the end the server stops for"
        " fear of wraparound. What waits for its locks (blocking_chain) is told as one incident with it, and so is"
        " what it keeps vacuum from (xmin_horizon_held).",
        magnitude="time since it was prepared, a duration",
        why_these_defaults="The PostgreSQL manual (PREPARE TRANSACTION) says that a prepared transaction should be"
        " ended as soon as its transaction manager knows the others are ready: seconds. After a quarter of an hour"
        " the manager has lost it; after an hour dead rows and waiters pile up. check_postgres"
        " (prepared_txns) warns after a second, which is too soon for managers that recover by themselves.",
        evidence="Its gid, owner, database and age, its locks, and how many transactions vacuum must keep for it.",
        what_to_do="Ask its transaction manager which way it went; COMMIT PREPARED or ROLLBACK PREPARED in its database.",
        how_to_look="SELECT gid, prepared, owner, database, age(transaction) FROM pg_prepared_xacts ORDER BY prepared",
    ),
)
