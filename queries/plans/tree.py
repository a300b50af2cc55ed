"""A plan as text for people: a terminal, a code block in a message, the page."""

from collections.abc import Iterator

from pgvigil.text import one_line
from queries.plans.measure import Measured
from queries.plans.plan import Plan, PlanNode

_CONDITIONS = ("Index Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "Sort Key", "Group Key")
CONDITION_CHARS = 100
LINES = 200


def text(plan: Plan, measured: Measured, *, lines: int = LINES) -> str:
    """A line for each node: what it took by itself, its share, its rows, and what it is; then its conditions."""
    rows = list(_rows(plan, measured))
    head = _HEAD_RAN if plan.ran else _HEAD_PLANNED
    shown = [head, *rows[:lines]]
    widths = [max(len(row[at]) for row in shown) for at in range(len(head) - 1)]
    written = ["  ".join([*map(str.rjust, row[:-1], widths), row[-1]]).rstrip() for row in shown]
    more = len(rows) - lines
    return "\n".join([*written, *([f"... and {more:,} more lines"] if more > 0 else [])])


_HEAD_RAN = ("own time", "share", "own blocks", "rows", "expected", "node")
_HEAD_PLANNED = ("share of cost", "rows expected", "node")


def _rows(plan: Plan, measured: Measured) -> Iterator[tuple[str, ...]]:
    for node in plan.nodes():
        figures = _ran(node, measured) if plan.ran else _planned(node, measured)
        indent = "  " * len(node.path)
        yield (*figures, indent + _title(node))
        for key in _CONDITIONS:
            if key in node.keys:
                yield (
                    *("" for _ in figures),
                    f"{indent}    {key}: {condition(node, key)}{_removed(node, key)}",
                )


def _removed(node: PlanNode, key: str) -> str:
    removed = node.total(f"Rows Removed by {key}")
    return f" (removed {removed:,.0f} rows)" if removed else ""


def _title(node: PlanNode) -> str:
    name = node.text("Subplan Name")
    return f"[{one_line(name, 60)}] {node.label}" if name else node.label


def condition(node: PlanNode, key: str) -> str:
    """What the node tests or sorts by, as EXPLAIN writes it, on one short line."""
    value = node.keys.get(key, "")
    return one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value), CONDITION_CHARS)


def _ran(node: PlanNode, measured: Measured) -> tuple[str, ...]:
    expected = f"{node.planned_rows * max(node.loops, 1):,.0f}"
    if not node.ran:
        return ("never ran", "", "", "", expected)
    cost, share = measured[node], measured.share_of_time(node)
    return (
        "" if cost.own_ms is None else milliseconds(cost.own_ms),
        "" if share is None else f"{share:.0%}",
        "" if cost.own_blocks is None else f"{cost.own_blocks:,.0f}",
        "" if node.actual_rows is None else f"{node.actual_rows:,.0f}",
        expected,
    )


def _planned(node: PlanNode, measured: Measured) -> tuple[str, ...]:
    share = measured.share_of_cost(node)
    return ("" if share is None else f"{share:.0%}", f"{node.planned_rows:,.0f}")


def milliseconds(value_ms: float) -> str:
    """`0.03ms`, `4.2ms`, `812ms`, `12.4s`."""
    if value_ms >= 10_000:
        return f"{value_ms / 1000:,.1f}s"
    return f"{value_ms:,.0f}ms" if value_ms >= 100 else f"{value_ms:.{2 if value_ms < 1 else 1}f}ms"
