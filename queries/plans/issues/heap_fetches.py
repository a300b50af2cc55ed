"""An index-only scan visits the table all the same."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters, table
from queries.plans.measure import Measured

LEAST_PART = 0.1  # of the rows
LEAST_FETCHES = 100.0


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        # Unlike rows, EXPLAIN does not divide these by the loops.
        fetches, rows = node.number("Heap Fetches") or 0.0, node.actual_rows or 0.0
        many = fetches >= LEAST_FETCHES and fetches > LEAST_PART * rows
        if node.type != "Index Only Scan" or not many or not matters(measured, node):
            continue
        yield Sight(
            node,
            f"{node.label} visits the table {fetches:,.0f} times for {rows:,.0f} rows: the visibility map "
            "does not know those pages as visible to all.",
            f"VACUUM {table(node)}; -- sets the map, blocks neither reads nor writes. If it is soon as before, let autovacuum "
            "come more often (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor of the table), and look for "
            "old transactions that hold vacuum back.",
            'Run the same EXPLAIN again: "Heap Fetches" must be near 0.',
            evidence(node, "Heap Fetches", "Actual Rows", "Actual Loops"),
        )


ISSUE = IssueKind(
    name="heap_fetches",
    title="An index-only scan visits the table",
    recognise="`Index Only Scan` with `Heap Fetches` for more than 10 % of its rows.",
    guard="At least 100 fetches.",
    advice="VACUUM the table; autovacuum more often; look for what holds vacuum back.",
    find=_find,
)
