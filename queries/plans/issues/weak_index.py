"""An index finds many rows that the filter then throws away."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below
from queries.plans.measure import Measured
from queries.plans.tree import condition

_SCANS = frozenset({"Index Scan", "Bitmap Heap Scan", "Index Only Scan"})
TIMES_MORE = 10.0  # rows thrown away for each that is kept
LEAST_REMOVED = 1000.0


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        removed, rows = node.total("Rows Removed by Filter") or 0.0, node.actual_rows or 0.0
        wasted = removed >= LEAST_REMOVED and removed > TIMES_MORE * max(rows, 1.0)
        if node.type not in _SCANS or not wasted or not matters_with_all_below(measured, node):
            continue
        yield Sight(
            node,
            f"{node.label} finds {removed + rows:,.0f} rows, and keeps {rows:,.0f} of them: the index does not know "
            f"{condition(node, 'Filter')}.",
            "An index that has the columns of this filter beside those of the index condition would probably find only the "
            "rows that are kept: columns compared with = first, ranges after them. For a rare fixed condition, a partial index. "
            "Build it with CREATE INDEX CONCURRENTLY; drop the old one only when nothing else needs it.",
            "Run the same EXPLAIN again after it is built: no rows are removed by the filter, and the blocks fall.",
            evidence(node, "Rows Removed by Filter", "Actual Rows", "Actual Loops", "Index Cond", "Filter"),
        )


ISSUE = IssueKind(
    name="weak_index",
    title="An index finds many rows that are thrown away",
    recognise="An index or bitmap scan whose filter removes more than ten times the rows that it keeps.",
    guard="At least 1,000 rows are removed.",
    advice="Extend the index by the columns of the filter, or make it partial.",
    find=_find,
)
