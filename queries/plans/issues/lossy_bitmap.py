"""A bitmap forgot which rows it meant, because work_mem is small."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below, work_mem
from queries.plans.measure import Measured

KB_OF_A_PAGE = 64 / 1024  # a page of the table takes about so much of an exact bitmap


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        lossy = node.number("Lossy Heap Blocks") or 0.0
        removed = node.total("Rows Removed by Index Recheck") or 0.0
        if not lossy or not removed or not matters_with_all_below(measured, node):
            continue
        exact = node.number("Exact Heap Blocks") or 0.0
        yield Sight(
            node,
            f"The bitmap did not fit into work_mem: of {lossy:,.0f} of {lossy + exact:,.0f} pages it knows only that there is "
            f"something, so {removed:,.0f} rows were read and thrown away.",
            work_mem(measured.plan, 2 * (lossy + exact) * KB_OF_A_PAGE),
            'Run the same EXPLAIN again: no "Lossy Heap Blocks".',
            evidence(node, "Lossy Heap Blocks", "Exact Heap Blocks", "Rows Removed by Index Recheck"),
        )


ISSUE = IssueKind(
    name="lossy_bitmap",
    title="A bitmap did not fit into work_mem",
    recognise="`Lossy Heap Blocks` above 0, and rows removed by the recheck.",
    guard="The common one.",
    advice="More work_mem for this statement (twice 64 bytes for each page), or a tighter index.",
    find=_find,
)
