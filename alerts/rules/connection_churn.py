"""Connections that are opened for next to nothing."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant
from alerts.rules._tables import table_block
from collectors.database_stats import DatabaseStatsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, NumberParams, Rule, RuleDoc
from pgvigil.text import one_line
from pgvigil.trends import increase
from pgvigil.units import DurationS, format_duration

_SUBJECT = "new connections"
_SHOWN = 5


class ConnectionChurnParams(NumberParams):
    for_s: DurationS = Field(300.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        600.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: float | None = Field(20, description="New sessions per second.")
    critical: float | None = Field(None, description="New sessions per second.")
    clear: float | None = Field(10, description="At or below this rate it has recovered.")
    within_s: DurationS = Field(300.0, alias="within", description="The rate is the mean of this time.")
    max_transactions_per_session: float = Field(
        10,
        description="Sessions that do more than this, on average, are not told: they are worth their connection.",
    )


@dataclass(frozen=True, slots=True)
class _Churn:
    """Of one database, or of all: `database` is "" then."""

    database: str
    sessions: float
    transactions: float
    elapsed_s: float

    @property
    def per_s(self) -> float:
        return self.sessions / self.elapsed_s

    @property
    def transactions_per_session(self) -> float:
        return self.transactions / max(1.0, self.sessions)


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ConnectionChurnParams, context: Context
) -> Judgement:
    rows: DatabaseStatsReading = reading.rows
    histories = (context.history("sessions", row.database) for row in rows.databases)
    if all(increase(points, params.within_s) is None for points in histories):
        return Judgement(
            (), NOTHING
        )  # before 14, and at the first reading after a while, nothing can be told
    each = _by_database(rows, params.within_s, context)
    if not each:
        return Judgement((), Scope())
    total = _Churn(
        "",
        sum(one.sessions for one in each),
        sum(one.transactions for one in each),
        max(one.elapsed_s for one in each),
    )
    level = grade(total.per_s, params)
    if level is None or total.transactions_per_session > params.max_transactions_per_session:
        return Judgement((), Scope())
    return Judgement((_finding(total, each, level, context),), Scope())


def _by_database(rows: DatabaseStatsReading, within_s: float, context: Context) -> list[_Churn]:
    """The databases with new sessions, those with the most first."""
    found = []
    for row in rows.databases:
        sessions = increase(context.history("sessions", row.database), within_s)
        if sessions is not None and sessions.value:
            done = increase(context.history("transactions", row.database), within_s)
            transactions = 0.0 if done is None else done.value
            found.append(_Churn(row.database, sessions.value, transactions, sessions.elapsed_s))
    return sorted(found, key=lambda one: (-one.sessions, one.database))


def _finding(total: _Churn, each: list[_Churn], level: Level, context: Context) -> Finding:
    most = each[0]
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_SUBJECT,
        level=level,
        summary=f"{total.per_s:,.0f} new sessions per second, {total.transactions_per_session:,.1f} transactions in"
        f" each (most in database {one_line(most.database, 60)})",
        value=total.per_s,
        evidence=Evidence(
            impact="Each connection costs the server a process, a log-in and cold caches, more than the work that it"
            " is opened for; the callers wait for that each time.",
            figures=(
                Figure("New sessions", f"{total.sessions:,.0f} in {format_duration(total.elapsed_s)}"),
                Figure("Transactions", f"{total.transactions:,.0f}"),
                Figure("Transactions per session", f"{total.transactions_per_session:,.1f}"),
            ),
            blocks=(
                table_block(
                    "By database",
                    ("sessions/s", "sessions", "transactions", "database"),
                    [
                        (round(one.per_s, 1), round(one.sessions), round(one.transactions), one.database)
                        for one in each
                    ],
                    _SHOWN,
                ),
            ),
            cause="A client that connects anew for each request, or each statement: no pool, a pool that does not"
            " keep its connections, or a health check gone wild.",
        ),
        steps=_STEPS,
    )


_STEPS = (
    Step(
        "See who connects: most of the sessions will be a second old or less.",
        "SELECT application_name, usename, datname, client_addr, count(*) AS sessions,"
        " count(*) FILTER (WHERE backend_start > now() - interval '5s') AS new FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' GROUP BY 1, 2, 3, 4 ORDER BY new DESC LIMIT 20",
    ),
    Step("Sessions too short to be seen are in the server's log with log_connections = on, for a while."),
    Step("Keep a pool in the application, or put PgBouncer in transaction mode between it and the server."),
)


RULE = Rule(
    name="connection_churn",
    unit="sessions/s",
    watches=("database_stats",),
    params=ConnectionChurnParams,
    evaluate=evaluate,
    dormant=_dormant.no_session_counts,
    doc=RuleDoc(
        meaning="Clients open many connections and do little with each. A connection of PostgreSQL is a process: to"
        " start it, log in and warm its caches takes milliseconds of CPU, and a burst of them stalls the server.",
        magnitude="new sessions per second on the whole server, as the mean of `within`",
        why_these_defaults="With a few milliseconds of CPU each (more with TLS and SCRAM, whose key derivation alone takes"
        " thousands of rounds on purpose) 20 a second keep some tenth of a core busy with connecting. Sessions with more"
        " than 10 transactions each are a pool that renews its connections, and are not told. Five minutes of"
        " `within` and five of `for` pass over a deployment. It costs and breaks nothing: a warning, never critical"
        " by default. Needs PostgreSQL 14 (pg_stat_database.sessions).",
        evidence="New sessions per second, the transactions in each, and the databases that they go to.",
        what_to_do="Find the client by application_name and address; give it a pool, or put a pooler between.",
        how_to_look="SELECT datname, sessions, (xact_commit + xact_rollback) / nullif(sessions, 0) AS transactions_each,\n"
        "       session_time / nullif(sessions, 0) AS mean_session_ms\n"
        "FROM pg_stat_database ORDER BY sessions DESC",
    ),
)
