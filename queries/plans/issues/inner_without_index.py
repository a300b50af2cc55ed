"""A nested loop reads a whole table again for each row of the other side."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below, table
from queries.plans.measure import Measured
from queries.plans.plan import PlanNode
from queries.plans.tree import condition

LEAST_LOOPS = 10.0
LEAST_REMOVED = 0.9  # of the pairs looked at: a product that is wanted is no missing index


def _scanned(inner: PlanNode) -> PlanNode | None:
    """The table that the inner side is, directly or through Materialize."""
    node = inner.children[0] if inner.type == "Materialize" and inner.children else inner
    return node if node.type == "Seq Scan" else None


def _wasted(loop: PlanNode, inner: PlanNode) -> bool:
    rows = loop.actual_rows or 0.0
    removed = (loop.total("Rows Removed by Join Filter") or 0.0) + (
        inner.total("Rows Removed by Filter") or 0.0
    )
    return removed > LEAST_REMOVED * (removed + rows) and removed >= LEAST_LOOPS


def _find(measured: Measured) -> Iterator[Sight]:
    for loop in measured.plan.nodes():
        if loop.type != "Nested Loop" or not matters_with_all_below(measured, loop):
            continue
        for inner in (child for child in loop.children if child.role == "Inner"):
            scan = _scanned(inner)
            if scan is None or inner.loops < LEAST_LOOPS or not _wasted(loop, scan):
                continue
            by = condition(loop, "Join Filter") or condition(scan, "Filter")
            yield Sight(
                scan,
                f"All rows of {table(scan)} are gone through {inner.loops:,.0f} times, once for each row of the other side, "
                f"to find those with {by}.",
                f"An index on the columns of {table(scan)} in that condition would probably find them at once; build it with "
                "CREATE INDEX CONCURRENTLY. Or the planner expected fewer rows of the other side: compare rows with expected.",
                "BEGIN; SET LOCAL enable_nestloop = off; EXPLAIN (ANALYZE, BUFFERS) ...; ROLLBACK; shows what it is without the loop.",
                evidence(inner, "Actual Loops", "Actual Rows", "Plan Rows")
                | evidence(loop, "Rows Removed by Join Filter"),
                loop,
            )


ISSUE = IssueKind(
    name="inner_without_index",
    title="A nested loop reads a whole table for each row",
    recognise="The inner side of a `Nested Loop` is a `Seq Scan`, also below `Materialize`, and runs at least 10 times.",
    guard="More than 90 % of the pairs looked at are thrown away, and the loop with all below it is heavy.",
    advice="An index on the inner side's column of the join; better estimates of the outer side.",
    find=_find,
    instead_of=frozenset({"filtered_seq_scan"}),
)
