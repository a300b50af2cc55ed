"""What can be wrong with a node of a plan, and the shape of a file that recognises one such thing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from pgvigil.registry import discover
from pgvigil.sql.identifiers import quote_name
from pgvigil.units import parse_size_bytes
from queries.plans.measure import Measured
from queries.plans.plan import Plan, PlanNode

# What is less than this of the run is not worth a word, whatever it looks like: a twentieth of the time, or 1,000
# blocks (8 MB). A twentieth of nearly nothing is nothing, so the time must be a millisecond as well.
LEAST_SHARE = 0.05
LEAST_MS = 1.0
LEAST_BLOCKS = 1000.0

MOST_WORK_MEM_KB = 1024 * 1024
DEFAULT_WORK_MEM_KB = 4096  # of every server since 9.4


@dataclass(frozen=True, slots=True)
class Sight:
    """A thing seen at a node. `advice` may be wrong, so `verify` says how to see whether it was right.

    `costs` is the node above whose time and blocks it is about, where that is not the node itself.
    """

    node: PlanNode
    says: str
    advice: str
    verify: str
    evidence: Mapping[str, Any]
    costs: PlanNode | None = None


@dataclass(frozen=True, slots=True)
class IssueKind:
    """One kind of issue: `find` looks at a plan that ran, the texts are for people and the page of reference.

    It is told `instead_of` other kinds that are seen at the same node: it knows more of the cause.
    """

    name: str
    title: str
    recognise: str
    guard: str
    advice: str
    find: Callable[[Measured], Iterator[Sight]]
    instead_of: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlanIssue:
    """A sight with its kind, and what it costs with all below it: shares of time and blocks; None: not told."""

    kind: IssueKind
    sight: Sight
    share_of_time: float | None
    share_of_blocks: float | None


def kinds() -> Mapping[str, IssueKind]:
    """Every kind of issue by name."""
    return discover("queries.plans.issues", "ISSUE", IssueKind)


def issues(measured: Measured) -> tuple[PlanIssue, ...]:
    """What is wrong with a plan, the heaviest first. Nothing of a plan that has not run: estimates cannot tell."""
    if not measured.plan.ran:
        return ()
    found = [_weighed(kind, sight, measured) for kind in kinds().values() for sight in kind.find(measured)]
    hidden = {(name, issue.sight.node.path) for issue in found for name in issue.kind.instead_of}
    told = (issue for issue in found if (issue.kind.name, issue.sight.node.path) not in hidden)
    return tuple(sorted(told, key=_weight, reverse=True))


def _weighed(kind: IssueKind, sight: Sight, measured: Measured) -> PlanIssue:
    node = sight.costs or sight.node
    return PlanIssue(kind, sight, measured.share_within(node), measured.share_of_blocks_within(node))


def _weight(issue: PlanIssue) -> float:
    return max(issue.share_of_time or 0.0, issue.share_of_blocks or 0.0)


def matters(measured: Measured, node: PlanNode) -> bool:
    """Whether the node by itself took enough to speak of."""
    cost = measured[node]
    return _enough(cost.own_ms, measured.share_of_time(node), cost.own_blocks)


def matters_with_all_below(measured: Measured, node: PlanNode) -> bool:
    """Whether the node and what ran in it took enough to speak of."""
    cost = measured[node]
    return _enough(cost.time_ms, measured.share_within(node), cost.blocks)


def _enough(time_ms: float | None, share: float | None, blocks: float | None) -> bool:
    long = (time_ms or 0.0) >= LEAST_MS and (share or 0.0) >= LEAST_SHARE
    return long or (blocks or 0.0) >= LEAST_BLOCKS


def evidence(node: PlanNode, *keys: str) -> dict[str, Any]:
    """EXPLAIN's own figures, by EXPLAIN's own names."""
    return {key: node.keys[key] for key in keys if key in node.keys}


def table(node: PlanNode) -> str:
    """The table's name for a command; with its schema where the plan tells it."""
    parts = (node.text("Schema"), node.text("Relation Name"))
    return quote_name(*(part for part in parts if part))


def work_mem(plan: Plan, needed_kb: float) -> str:
    """The command that tries more memory, of one transaction only; for what needs far too much, another way.

    It is never less than twice what the statement had, or the server's default where the plan does not tell (SETTINGS).
    """
    needed_kb = max(needed_kb, 2 * _work_mem_kb(plan))
    if needed_kb > MOST_WORK_MEM_KB:
        return (
            f"In memory it would need about {needed_kb / 1024:,.0f} MB, which is too much to give to one node: "
            "make the rows fewer or narrower before it instead."
        )
    return (
        f"In one transaction: BEGIN; SET LOCAL work_mem = '{ceil(needed_kb / 1024)}MB'; EXPLAIN (ANALYZE, BUFFERS) ...; ROLLBACK; "
        "If it helps, set it for the role or the transaction that runs this, not for the server: each such node of "
        "each session may take as much."
    )


def _work_mem_kb(plan: Plan) -> float:
    try:
        return parse_size_bytes(plan.settings.get("work_mem")) / 1024
    except ValueError:
        return DEFAULT_WORK_MEM_KB
