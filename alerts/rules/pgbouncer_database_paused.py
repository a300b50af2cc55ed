"""A database of a PgBouncer is paused or disabled, and nobody undid it."""

from typing import Any

from pydantic import Field

from alerts.rules._pgbouncer import database_key
from collectors.pgbouncer_pools import PooledDatabase, PoolsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.text import one_line
from pgvigil.units import DurationS


class PgbouncerDatabasePausedParams(SeverityParams):
    for_s: DurationS = Field(300.0, alias="for", description="How long it must hold before it fires.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: PgbouncerDatabasePausedParams, context: Context
) -> Judgement:
    rows: PoolsReading = reading.rows
    held = (each for each in rows.databases.values() if each.paused or each.disabled)
    return Judgement(tuple(_finding(each, rows, params, context) for each in held), Scope())


def _finding(
    database: PooledDatabase, reading: PoolsReading, params: PgbouncerDatabasePausedParams, context: Context
) -> Finding:
    name = quote_identifier(database.name)
    pools = [pool for pool in reading.pools if pool.database == database.name]
    waiting = sum(pool.cl_waiting for pool in pools)
    what = "paused" if database.paused else "disabled"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=database_key(database.name),
        level=params.level,
        summary=f"Database {one_line(database.name, 60)} is {what} in PgBouncer; {waiting:,} clients wait",
        evidence=Evidence(
            impact="Queries wait until it is resumed, or are refused after query_wait_timeout."
            if database.paused
            else "New clients are refused; those that are connected go on.",
            figures=(
                Figure("Clients connected", f"{sum(pool.cl_active for pool in pools):,}"),
                Figure("Clients waiting", f"{waiting:,}"),
            ),
            cause=f"Somebody ran {'PAUSE' if database.paused else 'DISABLE'}, for maintenance or a switch-over, and it"
            " was not undone.",
        ),
        steps=(
            Step("Ask whether somebody works on it now: a switch-over needs the pause until its end."),
            Step(
                "If not, let it go on, in the admin console.",
                f"RESUME {name};" if database.paused else f"ENABLE {name};",
            ),
        ),
        about=frozenset({database_key(database.name)}),
    )


RULE = Rule(
    name="pgbouncer_database_paused",
    watches=("pgbouncer_pools",),
    params=PgbouncerDatabasePausedParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A database was paused or disabled in the admin console. That is part of maintenance; when it stays,"
        " its clients hang (PAUSE) or cannot come in (DISABLE). A PAUSE of everything at once shows in no table of"
        " PgBouncer: its waiting clients are told by pgbouncer_waiting.",
        magnitude="",
        why_these_defaults="Five minutes are more than a restart or a switch-over takes, and more than twice"
        " query_wait_timeout (120 s by default, PgBouncer's manual), so that clients have been turned away by then.",
        evidence="The database, and how many clients are connected and wait.",
        what_to_do="RESUME or ENABLE the database, unless somebody works on it.",
        how_to_look="SHOW DATABASES;",
    ),
)
