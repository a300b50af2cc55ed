"""The server comes to the end of its transaction ids, and will stop writing."""

from typing import Any

from alerts.rules import _peers, _wraparound
from alerts.rules._wraparound import Space, WraparoundParams
from collectors.wraparound import XID_LIMIT, WraparoundReading
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc

# One column: \\gexec runs every column as a statement. What a person wants to know is a comment in it.
_OLDEST_TABLES = (
    "SELECT format('VACUUM (FREEZE, VERBOSE) %I.%I /* transaction ids: %s, size: %s */', n.nspname, c.relname,"
    " age(c.relfrozenxid), pg_size_pretty(c.relpages::bigint * current_setting('block_size')::bigint)) AS command"
    " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'm', 't') AND c.relfrozenxid <> '0' ORDER BY age(c.relfrozenxid) DESC LIMIT 20"
)


class XidWraparoundParams(WraparoundParams):
    pass


def evaluate(reading: Snapshot[Any] | Delta[Any], params: XidWraparoundParams, context: Context) -> Judgement:
    rows: WraparoundReading = reading.rows
    if _peers.told_by_primary(context) or not rows.databases:
        return Judgement((), Scope())
    space = Space(
        rule=RULE.name,
        subject="transaction ids",
        noun="transaction ids",
        used=rows.xids,
        limit=XID_LIMIT,
        freeze_at=rows.counters.freeze_max_age,
        freeze_setting="autovacuum_freeze_max_age",
        points=context.history("next_xid"),
        age_of=lambda database: database.xids,
        oldest_tables=_OLDEST_TABLES,
        error="database is not accepting commands that assign new transaction IDs to avoid wraparound data loss",
    )
    found = _wraparound.judged(space, rows, params, context)
    return Judgement(() if found is None else (found,), Scope())


RULE = Rule(
    name="xid_wraparound",
    watches=("wraparound",),
    params=XidWraparoundParams,
    evaluate=evaluate,
    absorbs=frozenset({"xmin_horizon_held"}),
    doc=RuleDoc(
        meaning="There are two billion transaction ids between the oldest row that is not frozen and now. Vacuum freezes"
        " old rows and so gives ids back. When it cannot, in any one database of the server, the whole server stops"
        " writing, and takes hours of vacuum to come back.",
        magnitude="transaction ids used since the oldest database was frozen, as a percentage of those that there are"
        " before the server stops (2^31 less 3 million)",
        why_these_defaults="50 and 80 % are pganalyze's (pgmonitor: 50 and 75). Earlier where the rate of the last day"
        " says that writing stops within a week, or a day. An age just above 200 million is no fault: it is where"
        " autovacuum begins to freeze by itself (autovacuum_freeze_max_age; PostgreSQL manual, 25.1.5), and on a"
        " server with 5,000 transactions a second the end is then always four days away. So a forecast counts only"
        " from 1.25 times that age on (pgmonitor warns at 110, is critical at 125 %), when the freeze is overdue;"
        " and where the setting itself is above half of all ids, the levels up to it are one milder. Up to 13 the"
        " server stops 2 million later.",
        evidence="Each database's age, templates and those without connections too; how many ids a second are used,"
        " when that comes to the end and how sure it is; who holds back vacuum, if somebody does.",
        what_to_do="Let go what holds the xmin horizon first: vacuum is of no use before. Then freeze the oldest tables"
        " of the oldest database, one by one.",
        how_to_look="""\
SELECT datname, age(datfrozenxid) AS xids, round(100 * age(datfrozenxid) / 2144483647.0, 1) AS percent, datallowconn
FROM pg_database
ORDER BY age(datfrozenxid) DESC""",
    ),
)
