"""A whole table is read for a few of its rows."""

import re
from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters, table
from queries.plans.measure import Measured
from queries.plans.plan import PlanNode
from queries.plans.tree import condition

LEAST_REMOVED = 0.9  # of the rows read; with more kept, reading all of the table is often the best there is
LEAST_PAGES = 1000.0
_INFIX = re.compile(r"~~\*? '[%_]|~~\* ")


def _removed_share(node: PlanNode) -> float:
    removed, rows = node.total("Rows Removed by Filter") or 0.0, node.actual_rows or 0.0
    return removed / (removed + rows) if removed else 0.0


def _advice(node: PlanNode) -> str:
    see = f"See first whether there is one (\\d {table(node)} in psql)."
    if _INFIX.search(node.text("Filter") or ""):
        return (
            "A pattern that begins with % or ignores case is helped by no usual index: a trigram index is for that (extension "
            f"pg_trgm, CREATE INDEX CONCURRENTLY ... USING gin (column gin_trgm_ops)). {see}"
        )
    return (
        "An index on the columns of this filter would probably read only what is wanted, if the condition compares plain columns: a "
        "function or a cast on the column needs an index on that expression. Build it with CREATE INDEX CONCURRENTLY. "
        f"{see} If there is one that is not used, compare rows with expected, and look at the settings."
    )


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        if node.type != "Seq Scan" or _removed_share(node) <= LEAST_REMOVED or not matters(measured, node):
            continue
        blocks = measured[node].own_blocks
        if blocks is None or blocks / measured.starts(node) < LEAST_PAGES:
            continue
        yield Sight(
            node,
            f"{blocks:,.0f} blocks of {table(node)} are read, and {_removed_share(node):.1%} of the rows are thrown "
            f"away by {condition(node, 'Filter')}.",
            _advice(node),
            "Run the same EXPLAIN again after it is built: the blocks of this node must fall.",
            evidence(node, "Rows Removed by Filter", "Actual Rows", "Actual Loops", "Filter"),
        )


ISSUE = IssueKind(
    name="filtered_seq_scan",
    title="A whole table is read for few of its rows",
    recognise="`Seq Scan` whose filter removes more than 90 % of the rows it reads.",
    guard="The scan reads at least 1,000 blocks each time it runs; never where 10 % of the rows or more are kept.",
    advice="An index on the columns of the filter.",
    find=_find,
)
