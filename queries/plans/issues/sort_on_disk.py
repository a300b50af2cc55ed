"""A sort wrote files, because work_mem is small."""

from collections.abc import Iterator

from pgvigil.units import format_size
from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below, work_mem
from queries.plans.measure import Measured
from queries.plans.tree import condition

TIMES_IN_MEMORY = 3  # what is on disk is packed: in memory it takes two to three times as much


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        if node.text("Sort Space Type") != "Disk" or not matters_with_all_below(measured, node):
            continue
        used_kb = node.number("Sort Space Used") or 0.0
        yield Sight(
            node,
            f"The sort by {condition(node, 'Sort Key')} did not fit into work_mem and wrote {format_size(used_kb * 1024)} to disk.",
            "If only the first rows are wanted, a LIMIT keeps it in memory; an index in this order saves the sort. Else: "
            + work_mem(measured.plan, TIMES_IN_MEMORY * used_kb),
            'Run the same EXPLAIN again: "Sort Space Type" is Memory, or there is no sort.',
            evidence(node, "Sort Method", "Sort Space Used", "Sort Space Type"),
        )


ISSUE = IssueKind(
    name="sort_on_disk",
    title="A sort wrote to disk",
    recognise="`Sort Space Type` is Disk. Sorts of parallel workers are not looked at.",
    guard="The common one.",
    advice="LIMIT, an index in this order, or about three times `Sort Space Used` as work_mem of this statement.",
    find=_find,
)
