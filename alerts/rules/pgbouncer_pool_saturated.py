"""A PgBouncer comes to the end of its limits: a pool of server connections, or the number of its clients."""

from dataclasses import replace
from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules._pgbouncer import CLIENTS, LOOK, SERVERS, figures, pool_key, pool_name, pools_block
from collectors.pgbouncer_pools import Pool, PooledDatabase, PoolsReading
from pgvigil.model.availability import Availability
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.failure import FailureKind
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.units import DurationS, Percent

_CLIENTS = "client connections"


class PgbouncerPoolSaturatedParams(PercentParams):
    for_s: DurationS = Field(120.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        120.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: Percent | None = Field(80.0, description="Share of the limit that is taken.")
    critical: Percent | None = Field(95.0, description="Share of the limit that is taken; of clients only.")
    clear: Percent | None = Field(70.0, description="At or below this share it has recovered.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: PgbouncerPoolSaturatedParams, context: Context
) -> Judgement:
    if isinstance(reading.rows, Availability):
        return _refused(reading.rows, context)
    rows: PoolsReading = reading.rows
    of_pools = (_pool(pool, rows, params, context) for pool in rows.pools if pool.cl_waiting)
    found = (_clients(rows, params, context), *of_pools)
    return Judgement(tuple(finding for finding in found if finding is not None), Scope())


def _refused(availability: Availability, context: Context) -> Judgement:
    """To be refused for want of a connection is saturation; anything else counts nothing."""
    failure = availability.failure
    if availability.up or failure is None or failure.kind is not FailureKind.TOO_MANY_CONNECTIONS:
        down = failure is not None and failure.kind.means_down
        return Judgement((), replace(NOTHING, reason=failure.message) if down and failure else NOTHING)
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_CLIENTS,
        level=Level.CRITICAL,
        summary="PgBouncer refuses new clients, pgvigil as well: it has as many as it may",
        value=100.0,
        evidence=Evidence(
            impact="New connections are refused; clients that are already connected still work.",
            figures=(Figure("PgBouncer says", failure.message),),
        ),
        steps=_CLIENT_STEPS,
    )
    return Judgement((finding,), Scope(only=frozenset({_CLIENTS}), reason=failure.message))


def _clients(reading: PoolsReading, params: PgbouncerPoolSaturatedParams, context: Context) -> Finding | None:
    if not reading.max_clients:
        return None
    percent = 100.0 * reading.clients / reading.max_clients
    level = grade(percent, params)
    if level is None:
        return None
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_CLIENTS,
        level=level,
        summary=f"{reading.clients:,} of {reading.max_clients:,} client connections are taken ({percent:.0f} %)",
        value=percent,
        evidence=Evidence(
            impact='When the last one is taken, PgBouncer refuses new clients with "no more connections allowed".',
            figures=(
                Figure("Client connections", f"{reading.clients:,}"),
                Figure("max_client_conn", f"{reading.max_clients:,}"),
            ),
            blocks=(pools_block(reading, "Who has them", _largest(reading)),),
            cause="More application processes than before, pools of theirs that are too large, or clients that leave"
            " connections behind.",
        ),
        steps=_CLIENT_STEPS,
    )


def _largest(reading: PoolsReading) -> list[Pool]:
    return sorted(reading.pools, key=lambda pool: -(pool.cl_active + pool.cl_waiting))[:10]


def _pool(
    pool: Pool, reading: PoolsReading, params: PgbouncerPoolSaturatedParams, context: Context
) -> Finding | None:
    """Only while clients wait, and never critical: how long they wait is the matter of pgbouncer_waiting."""
    database = reading.databases.get(pool.database)
    if database is None or not database.pool_size:
        return None
    percent = 100.0 * pool.taken / database.pool_size
    level = grade(percent, params)
    if level is None:
        return None
    key = pool_key(pool)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=key,
        level=min(level, Level.WARNING),
        summary=f"Pool {pool_name(pool)} has {pool.taken:,} of {database.pool_size:,} server connections taken,"
        f" and {pool.cl_waiting:,} waiting",
        value=percent,
        evidence=Evidence(
            impact="The pool has no room for more work: every further request waits for another one to end.",
            figures=figures(pool, database),
            cause=_cause(pool, database),
        ),
        steps=_POOL_STEPS,
        about=frozenset({key}),
    )


def _cause(pool: Pool, database: PooledDatabase) -> str:
    mode = pool.pool_mode or database.pool_mode
    if mode == "session":
        return (
            "In session mode each client keeps its server connection until it leaves: there can be no more clients"
            " than connections. Transaction mode shares them."
        )
    return "Statements that are slower than before, transactions that idle, or more load than the pool is made for."


_CLIENT_STEPS = (
    LOOK,
    CLIENTS,
    Step("Lower the pools of the application with the most idle clients, or restart one that leaks them."),
    Step(
        "A higher max_client_conn needs file descriptors: compare with LimitNOFILE of the service; then reload."
    ),
)
_POOL_STEPS = (
    LOOK,
    SERVERS,
    Step(
        "On the server look for slow and blocked statements and for sessions that are idle in a transaction."
    ),
    Step(
        "If the work is as it should be, raise pool_size of the database in pgbouncer.ini, then reload.",
        "RELOAD;",
    ),
)


RULE = Rule(
    name="pgbouncer_pool_saturated",
    watches=("pgbouncer_pools", "availability"),
    params=PgbouncerPoolSaturatedParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A pool has its server connections taken while clients wait for one, or PgBouncer has nearly as many"
        " clients as it may. A full pool without anybody waiting is a pool that is used well, and is not told."
        " Limits that a user has for itself (pool_size of [users], 1.23+) are not seen.",
        magnitude="share of the limit that is taken: of pool_size by server connections, of max_client_conn by clients",
        why_these_defaults="80 and 95 % are those of connection_saturation, and of Datadog and temboard for"
        " connections. Two minutes pass over bursts. A pool is a warning at most, because its users feel nothing but"
        " the wait, which pgbouncer_waiting judges; clients at 95 % are critical, because the next ones are refused.",
        evidence="The pool's server connections by state, its size and mode, and how many wait; for clients, the pools"
        " with the most of them.",
        what_to_do="Find out whether the work became slower (look at the server) or more. Make the pool larger only"
        " when the server has slots and cores for it.",
        how_to_look="SHOW POOLS; SHOW DATABASES; SHOW LISTS; SHOW CONFIG;",
    ),
)
