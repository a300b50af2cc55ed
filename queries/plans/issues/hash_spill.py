"""A hash table did not fit into memory, so both sides of the join went through files."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below, work_mem
from queries.plans.measure import Measured, estimate_off

MUCH_MORE = 3.0  # times the rows that were expected: then the estimate is the first thing to mend


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        batches = node.number("Hash Batches") or 0.0
        if batches <= 1 or not matters_with_all_below(measured, node):
            continue
        off = estimate_off(node) or 1.0
        first = (
            "First ANALYZE the tables below it: more rows came than were expected. "
            if off > MUCH_MORE
            else ""
        )
        yield Sight(
            node,
            f"The hash table of {node.actual_rows or 0:,.0f} rows did not fit into memory and was split into "
            f"{batches:,.0f} batches, which go through files, as does the other side of the join.",
            first + work_mem(measured.plan, batches * (node.number("Peak Memory Usage") or 0.0)),
            'Run the same EXPLAIN again: "Hash Batches" is 1.',
            evidence(
                node, "Hash Batches", "Original Hash Batches", "Peak Memory Usage", "Actual Rows", "Plan Rows"
            ),
        )


ISSUE = IssueKind(
    name="hash_spill",
    title="A hash table did not fit into memory",
    recognise="`Hash Batches` above 1.",
    guard="The common one.",
    advice="Mend the estimate where it is far off; then `Peak Memory Usage` times the batches as work_mem of this statement.",
    find=_find,
)
