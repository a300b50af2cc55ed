"""Fewer workers came than were planned."""

from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters_with_all_below
from queries.plans.measure import GATHERS, Measured


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        planned, came = node.number("Workers Planned") or 0.0, node.number("Workers Launched") or 0.0
        short = node.type in GATHERS and node.ran and came < planned
        if not short or not matters_with_all_below(measured, node):
            continue
        yield Sight(
            node,
            f"{came:,.0f} of {planned:,.0f} planned workers came, so the plan took longer than was expected of it.",
            "Probably others had the workers, or the server allows too few: SHOW max_parallel_workers; SHOW max_worker_processes; and count who uses them: SELECT count(*) "
            "FROM pg_stat_activity WHERE backend_type = 'parallel worker'; If it is so often, raise them (as far as there are "
            "cores), or let fewer statements be parallel (max_parallel_workers_per_gather).",
            'Run the same EXPLAIN at a quiet time: "Workers Launched" equals "Workers Planned".',
            evidence(node, "Workers Planned", "Workers Launched", "Actual Loops"),
        )


ISSUE = IssueKind(
    name="parallel_shortfall",
    title="Fewer parallel workers came than were planned",
    recognise="`Workers Launched` below `Workers Planned` of a `Gather`.",
    guard="The gather with all below it is heavy.",
    advice="max_parallel_workers, or fewer parallel statements.",
    find=_find,
)
