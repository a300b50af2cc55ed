"""Clients of a PgBouncer wait for a server connection."""

from typing import Any

from pydantic import Field

from alerts.grading import counted, grade
from alerts.rules._pgbouncer import (
    CLIENTS,
    LOOK,
    SERVERS,
    database_key,
    figures,
    obstacle,
    pool_key,
    pool_name,
    pools_block,
)
from collectors.pgbouncer_pools import Pool, PooledDatabase, PoolsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, DurationParams, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.units import DurationS, format_duration


class PgbouncerWaitingParams(DurationParams):
    keep_firing_for_s: DurationS = Field(
        60.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: DurationS | None = Field(5.0, description="How long the first client in the queue has waited.")
    critical: DurationS | None = Field(30.0, description="How long the first client in the queue has waited.")
    clear: DurationS | None = Field(1.0, description="At or below this wait it has recovered.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: PgbouncerWaitingParams, context: Context
) -> Judgement:
    rows: PoolsReading = reading.rows
    waiting = [pool for pool in rows.pools if pool.cl_waiting]
    graded = [(pool, grade(pool.longest_wait_s, params)) for pool in waiting]
    found = tuple(_finding(pool, level, rows, context) for pool, level in graded if level is not None)
    return Judgement(found, Scope())


def _finding(pool: Pool, level: Level, reading: PoolsReading, context: Context) -> Finding:
    database = reading.databases.get(pool.database)
    wait = format_duration(pool.longest_wait_s)
    key = pool_key(pool)
    waiting = [each for each in reading.pools if each.cl_waiting]
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=key,
        level=level,
        summary=f"{counted(pool.cl_waiting, 'client')} of pool {pool_name(pool)}"
        f" {'waits' if pool.cl_waiting == 1 else 'wait'} for a server connection, the first for {wait}",
        value=pool.longest_wait_s,
        evidence=Evidence(
            impact=_impact(context),
            figures=(*figures(pool, database), *_limits(context)),
            blocks=(pools_block(reading, "Pools with waiting clients", waiting),) if len(waiting) > 1 else (),
            cause=_cause(pool, database),
        ),
        steps=_steps(database),
        explains=frozenset({key, database_key(pool.database)}),
    )


def _impact(context: Context) -> str:
    after = _query_wait_timeout(context)
    end = (
        f" After {after} s (query_wait_timeout) PgBouncer disconnects them." if after not in ("", "0") else ""
    )
    return f"Each request of theirs takes that much longer; to the application the database is slow or gone.{end}"


def _limits(context: Context) -> tuple[Figure, ...]:
    after = _query_wait_timeout(context)
    return (Figure("query_wait_timeout", f"{after} s"),) if after else ()


def _query_wait_timeout(context: Context) -> str:
    return "" if context.facts is None else context.facts.settings.get("query_wait_timeout", "")


def _cause(pool: Pool, database: PooledDatabase | None) -> str:
    known = obstacle(pool, database)
    if known:
        return known
    if database is not None and pool.taken >= database.pool_size:
        return (
            f"Every server connection of the pool ({pool.taken:,}) is taken: by slow or blocked statements, by"
            " transactions that idle, or the pool is too small for its clients."
        )
    return (
        "Server connections are being made or checked; if this stays, the server is slow to let PgBouncer in."
    )


def _steps(database: PooledDatabase | None) -> tuple[Step, ...]:
    if database is not None and database.paused:
        resume = f"RESUME {quote_identifier(database.name)};"
        return (LOOK, Step("If nobody works on it any more, let the database go on.", resume))
    return (
        LOOK,
        SERVERS,
        Step(
            "On the server behind it look at what those sessions do: slow, blocked, or idle in transaction?"
        ),
        CLIENTS,
        Step(
            "If they all work well and are too few, raise pool_size of the database in pgbouncer.ini and reload;"
            " the server must have the slots.",
            "RELOAD;",
        ),
    )


RULE = Rule(
    name="pgbouncer_waiting",
    watches=("pgbouncer_pools",),
    params=PgbouncerWaitingParams,
    evaluate=evaluate,
    absorbs=frozenset({"pgbouncer_pool_saturated", "pgbouncer_database_paused"}),
    doc=RuleDoc(
        meaning="Clients of a pool have sent a query and got no server connection for it. A moment of that is how a"
        " pooler works; seconds of it are what users feel, and no view of the server behind shows it.",
        magnitude="how long the first client in the queue has waited",
        why_these_defaults="5 seconds are more than a burst on a pool of a sensible size takes, and longer than people"
        " wait for a page. 30 seconds are where web servers and load balancers begin to give up, and a quarter of"
        " query_wait_timeout (120 s by default, PgBouncer's manual), after which PgBouncer disconnects the clients."
        " The number of waiting clients is no threshold: Pigsty pages at two of them, and in transaction mode there"
        " are always some for a millisecond. A minute to resolve keeps one incident through a queue that comes and"
        " goes.",
        evidence="The pool, how many wait and for how long, its server connections by state, pool_size and mode, and"
        " the likely cause: all taken, paused, at max_db_connections, or no connection to the server at all.",
        what_to_do="Look at what has the server connections. Mend what is slow or blocked on the server first; a"
        " larger pool moves the queue into the server. RESUME a database that somebody forgot to.",
        how_to_look="SHOW POOLS; SHOW SERVERS; SHOW CLIENTS;",
    ),
)
