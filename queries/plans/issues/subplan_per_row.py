"""A subquery is run again for each row."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below
from queries.plans.measure import Measured

LEAST_LOOPS = 1000.0


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        if node.role != "SubPlan" or node.loops < LEAST_LOOPS or not matters_with_all_below(measured, node):
            continue
        yield Sight(
            node,
            f"The subquery {node.text('Subplan Name') or 'below this node'} is run {node.loops:,.0f} times: once for each row.",
            "Write it as a join with a grouped subquery, or as EXISTS, so that it runs once for all rows. If it must stay as it "
            "is, an index on the column that ties it to the row outside makes each run cheap.",
            "Compare the results of both texts with EXCEPT, both ways, and the blocks of both plans.",
            evidence(node, "Actual Loops", "Actual Rows", "Subplan Name"),
        )


ISSUE = IssueKind(
    name="subplan_per_row",
    title="A subquery runs once for each row",
    recognise="A `SubPlan` with at least 1,000 loops. Hashed ones run once, and are none.",
    guard="The subquery with all below it is heavy.",
    advice="A join or EXISTS; an index on the column that ties it to the row.",
    find=_find,
)
