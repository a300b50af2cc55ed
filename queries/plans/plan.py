"""A plan: a tree of nodes as EXPLAIN (FORMAT JSON) tells it, with estimates alone or as it ran."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgvigil.text import one_line

Path = tuple[int, ...]  # the child to take at each step from the root, from 0


class PlanError(ValueError):
    """What was given is no plan; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node. `keys` are EXPLAIN's own, but for the children; averages in them are of one loop."""

    path: Path
    keys: Mapping[str, Any]
    children: tuple["PlanNode", ...]

    @property
    def type(self) -> str:
        return str(self.keys["Node Type"])

    @property
    def relation(self) -> str | None:
        """With its schema where the plan tells it (VERBOSE)."""
        name, schema = self.text("Relation Name"), self.text("Schema")
        return f"{schema}.{name}" if schema and name else name

    @property
    def role(self) -> str | None:
        """What it is to the node above: Outer, Inner, InitPlan, SubPlan, Member ..."""
        return self.text("Parent Relationship")

    @property
    def label(self) -> str:
        """As people write it: "Index Scan using orders_pkey on orders o"."""
        index, alias = self.text("Index Name"), self.text("Alias")
        subject = self.relation or self.text("CTE Name") or self.text("Function Name")
        other = alias if alias and subject and subject.rpartition(".")[2] != alias else ""
        words = (
            _named(self.type, self.text("Join Type")),
            f"using {index}" if index else "",
            f"on {subject}" if subject else "",
            other,
        )
        return one_line(" ".join(filter(None, words)))

    @property
    def ran(self) -> bool:
        """Whether it was executed, and EXPLAIN counted."""
        return (self.number("Actual Loops") or 0) > 0

    @property
    def loops(self) -> float:
        return self.number("Actual Loops") or 0.0

    @property
    def actual_rows(self) -> float | None:
        """Of all loops together, of all workers; None where it was not counted."""
        rows = self.number("Actual Rows")
        return None if rows is None else rows * self.loops

    @property
    def planned_rows(self) -> float:
        """The estimate for one loop."""
        return self.number("Plan Rows") or 0.0

    def total(self, key: str) -> float | None:
        """A figure that EXPLAIN gives as the average of a loop, such as "Rows Removed by Filter", of all loops."""
        value = self.number(key)
        return None if value is None else value * max(self.loops, 1.0)

    def number(self, key: str) -> float | None:
        value = self.keys.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, key: str) -> str | None:
        value = self.keys.get(key)
        return value if isinstance(value, str) else None

    def walk(self) -> Iterator["PlanNode"]:
        """Itself and all below, each before its children."""
        yield self
        for child in self.children:
            yield from child.walk()


def _named(kind: str, join: str | None) -> str:
    """Such as "Hash Left Join": the kind of a join stands inside, as EXPLAIN writes it in text."""
    if join in {None, "Inner"}:
        return kind
    return f"{kind.removesuffix(' Join')} {join} Join"


@dataclass(frozen=True, slots=True)
class Plan:
    """`keys` are what EXPLAIN says beside the tree: "Execution Time", "Settings", "JIT", "Triggers" ..."""

    root: PlanNode
    keys: Mapping[str, Any]

    @property
    def ran(self) -> bool:
        """Whether it tells what happened, or only what the planner expects."""
        return "Actual Loops" in self.root.keys

    @property
    def timed(self) -> bool:
        return "Actual Total Time" in self.root.keys

    @property
    def execution_ms(self) -> float | None:
        """As the server says, or the root's own time (auto_explain has no other); None where nothing was timed."""
        said = self.number("Execution Time")
        return said if said is not None else self.root.total("Actual Total Time")

    def number(self, key: str) -> float | None:
        value = self.keys.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def settings(self) -> Mapping[str, str]:
        """Those of the planner that were not at their default; empty also when SETTINGS was not asked for."""
        given = self.keys.get("Settings")
        return {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}

    def nodes(self) -> Iterator[PlanNode]:
        """Every node, each before its children."""
        return self.root.walk()
