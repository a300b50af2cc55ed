"""The shape of a plan: what it does, without what it costs. Two plans of one shape work in the same way.

Of it are node types, relations, indexes, kinds of joins and their sides. Not of it are costs, estimates, constants,
aliases, settings and the number of workers: they change while the plan does not. Partitions of one
table that are read in the same way count once, in any number: tomorrow's partition must not be a new plan. So a plan
that prunes and one that does not are of one shape when more than one is read; the figures tell them apart. Schemas
are of it where the plan tells them (VERBOSE), so compare plans that were asked for in the same way.
"""

import hashlib
import re

from queries.plans.plan import Plan, PlanNode

_APPENDS = frozenset({"Append", "Merge Append"})
_KINDS = (
    "Join Type",
    "Strategy",
    "Partial Mode",
    "Operation",
    "Scan Direction",
    "Command",
    "Parent Relationship",
)
_NAMES = ("Schema", "Relation Name", "Index Name", "Function Name", "CTE Name")
_SAYS_NOTHING = frozenset({"Simple", "Forward", "NoMovement", "Outer"})
_NUMBERS = re.compile(r"\d+")


def fingerprint(plan: Plan) -> str:
    """16 hexadecimal digits; the same for plans of one shape, on every machine and in every release."""
    return hashlib.sha256(repr(shape(plan.root)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shape(node: PlanNode) -> tuple[object, ...]:
    """The nested parts that the fingerprint is made of."""
    members = node.type in _APPENDS
    below = [
        _of_member(child) if members and child.role == "Member" else shape(child) for child in node.children
    ]
    if members:
        below = sorted(set(below), key=repr)
    return (_what(node), *below)


def _what(node: PlanNode) -> tuple[str, ...]:
    kinds = (node.text(key) or "" for key in _KINDS)
    told = tuple(kind for kind in kinds if kind not in _SAYS_NOTHING)
    names = (node.text(key) or "" for key in _NAMES)
    return (node.type, *names, *told)


def _of_member(child: PlanNode) -> tuple[object, ...]:
    """A member of an Append: its relations by name without numbers, as partitions are named."""
    return _without_numbers(shape(child))


def _without_numbers(part: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(
        _without_numbers(each) if isinstance(each, tuple) else _NUMBERS.sub("#", str(each)) for each in part
    )
