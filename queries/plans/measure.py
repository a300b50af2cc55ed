"""What each node of a plan cost by itself. EXPLAIN counts a node together with all that ran inside it.

Where something ran is not always where EXPLAIN draws it: a CTE runs inside the nodes that scan it, and an InitPlan inside
the node that needs its value first, so they are taken off there. Times of parallel nodes are averages of a
loop of one process: many workers are busy in the same second, so their time counts as the clock on the wall does.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from queries.plans.plan import Path, Plan, PlanNode

_BLOCKS = ("Shared Hit Blocks", "Shared Read Blocks", "Local Hit Blocks", "Local Read Blocks")
_RETURNS = re.compile(r"\(returns (\$\d+(?:,\s*\$\d+)*)\)")
GATHERS = frozenset({"Gather", "Gather Merge"})


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one node: `own` is without what ran inside it. None: the plan does not tell."""

    time_ms: float | None
    own_ms: float | None
    blocks: float | None
    own_blocks: float | None


class Measured:
    """The figures of one plan, by the path of the node."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._processes = dict(_processes(plan.root, 1.0))
        self._time = {node.path: self._time_ms(node) for node in plan.nodes()}
        self._blocks = {node.path: _blocks(node) for node in plan.nodes()}
        inside = _inside(plan)
        own_ms, own_blocks = _own(self._time, inside), _own(self._blocks, inside)
        self._costs = {
            path: Cost(
                time_ms=self._time[path] if plan.timed else None,
                own_ms=own_ms[path] if plan.timed else None,
                blocks=self._blocks[path] if self._buffered else None,
                own_blocks=own_blocks[path] if self._buffered else None,
            )
            for path in self._time
        }

    @cached_property
    def _buffered(self) -> bool:
        return _BLOCKS[0] in self.plan.root.keys

    def __getitem__(self, node: PlanNode) -> Cost:
        return self._costs[node.path]

    @property
    def blocks(self) -> float | None:
        """Of the whole plan."""
        return self[self.plan.root].blocks

    def starts(self, node: PlanNode) -> float:
        """How often the node ran as a whole: all the workers that share its rows are one."""
        return max(node.loops / self._processes[node.path], 1.0)

    def share_of_time(self, node: PlanNode) -> float | None:
        """From 0 to 1: what the node took by itself, of the whole run; None where nothing was timed."""
        return _share(self[node].own_ms, self.plan.execution_ms)

    def share_of_blocks(self, node: PlanNode) -> float | None:
        """From 0 to 1, of the blocks that the whole plan touched; None without BUFFERS."""
        return _share(self[node].own_blocks, self.blocks)

    def share_within(self, node: PlanNode) -> float | None:
        """From 0 to 1: what the node and all below it took, of the whole run."""
        return _share(self[node].time_ms, self.plan.execution_ms)

    def share_of_blocks_within(self, node: PlanNode) -> float | None:
        """From 0 to 1: what the node and all below it touched, of the whole plan."""
        return _share(self[node].blocks, self.blocks)

    def share_of_cost(self, node: PlanNode) -> float | None:
        """From 0 to 1: the planner's estimate for the node by itself, of its estimate for the plan."""
        below = sum(child.number("Total Cost") or 0.0 for child in node.children)
        own = (node.number("Total Cost") or 0.0) - below
        return _share(max(own, 0.0), self.plan.root.number("Total Cost"))

    def _time_ms(self, node: PlanNode) -> float:
        return (node.number("Actual Total Time") or 0.0) * node.loops / self._processes[node.path]


def estimate_off(node: PlanNode) -> float | None:
    """How many times more rows came than were expected (below 1: fewer), per loop; None where nothing ran.

    Both are at least one row: the server rounds the average of a loop, and it plans for no less than one.
    """
    rows = node.number("Actual Rows")
    return max(rows, 1.0) / max(node.planned_rows, 1.0) if node.ran and rows is not None else None


def _share(part: float | None, whole: float | None) -> float | None:
    return min(part / whole, 1.0) if part is not None and whole else None


def _blocks(node: PlanNode) -> float:
    """Of all loops and workers: these EXPLAIN does add up."""
    return sum(node.number(key) or 0.0 for key in _BLOCKS)


def _processes(node: PlanNode, processes: float) -> Iterator[tuple[Path, float]]:
    """How many processes ran each node: below a Gather as often as its child was started."""
    yield node.path, processes
    for child in node.children:
        split = node.type in GATHERS and child.role != "InitPlan" and node.loops > 0
        here = max(child.loops / node.loops, 1.0) if split else processes
        yield from _processes(child, here)


def _inside(plan: Plan) -> dict[Path, list[PlanNode]]:
    """What ran inside each node: its children, and the CTEs and InitPlans that it was first to need."""
    inside: dict[Path, list[PlanNode]] = defaultdict(list)
    for node in plan.nodes():
        for child in node.children:
            for user in _users(plan, node, child):
                inside[user.path].append(child)
    return inside


def _users(plan: Plan, parent: PlanNode, child: PlanNode) -> list[PlanNode]:
    name = child.text("Subplan Name") or ""
    if child.role != "InitPlan":
        return [parent]
    if name.startswith("CTE "):
        scans = [n for n in plan.nodes() if n.type == "CTE Scan" and n.text("CTE Name") == name[4:]]
        return scans or [parent]
    marks = _marks(name)
    below = [node for node in plan.nodes() if node.path[: len(child.path)] != child.path]
    return [node for node in below if marks and _mentions(node, marks)][:1] or [parent]


def _marks(name: str) -> list[re.Pattern[str]]:
    """How expressions write the value of an InitPlan: `$0` up to 16, `(InitPlan 1).col1` from 17 on."""
    returned = _RETURNS.search(name)
    if returned:
        return [re.compile(re.escape(mark.strip()) + r"(?!\d)") for mark in returned[1].split(",")]
    return [re.compile(rf"\({re.escape(name)}\)")] if name.startswith("InitPlan ") else []


def _mentions(node: PlanNode, marks: list[re.Pattern[str]]) -> bool:
    expressions = [
        value for key, value in node.keys.items() if isinstance(value, str) and key != "Subplan Name"
    ]
    return any(mark.search(text) for mark in marks for text in expressions)


def _own(total: dict[Path, float], inside: dict[Path, list[PlanNode]]) -> dict[Path, float]:
    """`total` without what ran inside. What several needed is taken off each in turn, until it is used up."""
    own = dict(total)
    left = dict(total)
    for path in total:
        for part in inside.get(path, ()):
            taken = min(left[part.path], own[path])
            own[path] -= taken
            left[part.path] -= taken
    return own
