"""The server comes to the end of its multixact ids, and will lock no more rows for several at once."""

from typing import Any

from alerts.rules import _peers, _wraparound
from alerts.rules._wraparound import Space, WraparoundParams
from collectors.wraparound import MULTIXACT_LIMIT, WraparoundReading
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc

# One column: \\gexec runs every column as a statement. What a person wants to know is a comment in it.
_OLDEST_TABLES = (
    "SELECT format('VACUUM (FREEZE, VERBOSE) %I.%I /* multixacts: %s, size: %s */', n.nspname, c.relname,"
    " mxid_age(c.relminmxid), pg_size_pretty(c.relpages::bigint * current_setting('block_size')::bigint)) AS command"
    " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'm', 't') AND c.relminmxid <> '0' ORDER BY mxid_age(c.relminmxid) DESC LIMIT 20"
)


class MultixactWraparoundParams(WraparoundParams):
    pass


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: MultixactWraparoundParams, context: Context
) -> Judgement:
    rows: WraparoundReading = reading.rows
    if _peers.told_by_primary(context) or not rows.databases:
        return Judgement((), Scope())
    space = Space(
        rule=RULE.name,
        subject="multixact ids",
        noun="multixact ids",
        used=rows.multixacts,
        limit=MULTIXACT_LIMIT,
        freeze_at=rows.counters.multixact_freeze_max_age,
        freeze_setting="autovacuum_multixact_freeze_max_age",
        points=context.history("next_multixact"),
        age_of=lambda database: database.multixacts,
        oldest_tables=_OLDEST_TABLES,
        error="database is not accepting commands that assign new MultiXactIds to avoid wraparound data loss",
    )
    found = _wraparound.judged(space, rows, params, context)
    return Judgement(() if found is None else (found,), Scope())


RULE = Rule(
    name="multixact_wraparound",
    watches=("wraparound",),
    params=MultixactWraparoundParams,
    evaluate=evaluate,
    absorbs=frozenset({"xmin_horizon_held"}),
    doc=RuleDoc(
        meaning="A row that several transactions lock at once (foreign keys, SELECT FOR SHARE) takes a multixact id, of"
        " which there are two billion. Vacuum gives them back. When it cannot, in any one database, every statement"
        " that needs one fails on the whole server.",
        magnitude="multixact ids used since the oldest one still needed, as a percentage of those that there are"
        " before the server stops (2^31 less 3 million)",
        why_these_defaults="50 and 80 % are pganalyze's, for transaction ids and multixact ids alike. A forecast counts"
        " from 1.25 times autovacuum_multixact_freeze_max_age (400 million) on, because autovacuum does nothing"
        " about them before (PostgreSQL manual, 25.1.5.1); a week is time to vacuum large tables, a day is not.",
        evidence="Each database's age in multixact ids; how many a second are used, and when that comes to the end.",
        what_to_do="Let go what holds the xmin horizon, then freeze the oldest tables of the oldest database. Find the"
        " foreign keys whose parent rows many transactions lock at once.",
        how_to_look="""\
SELECT datname, mxid_age(datminmxid) AS multixacts, round(100 * mxid_age(datminmxid) / 2144483647.0, 1) AS percent
FROM pg_database
ORDER BY mxid_age(datminmxid) DESC""",
    ),
)
