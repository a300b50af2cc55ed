"""Rows are made and skipped, page after page."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below
from queries.plans.measure import Measured

LEAST_SKIPPED = 1000.0
TIMES_MORE = 10.0


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        if node.type != "Limit" or not node.children or not matters_with_all_below(measured, node):
            continue
        rows, made = node.actual_rows or 0.0, node.children[0].actual_rows or 0.0
        if made - rows < LEAST_SKIPPED or made < TIMES_MORE * rows:
            continue
        yield Sight(
            node,
            f"OFFSET: {made:,.0f} rows were made to return {rows:,.0f}; the others were skipped.",
            "Go on from the last row of the page before instead of counting rows: WHERE (sort columns) > (its values) ORDER BY the "
            "same columns LIMIT n, with an index on them. The last sort column must make the order unique.",
            "The blocks of a page must no longer grow with its number.",
            evidence(node, "Actual Rows") | {"Actual Rows below": made},
        )


ISSUE = IssueKind(
    name="large_offset",
    title="OFFSET skips many rows",
    recognise="The node below `Limit` returns at least 1,000 rows and ten times more than it: with LIMIT alone it would stop.",
    guard="The limit with all below it is heavy.",
    advice="Keyset pagination.",
    find=_find,
)
