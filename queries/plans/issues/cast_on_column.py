"""A column is cast before it is compared, so that its index is of no use."""

import re
from collections.abc import Iterator

from queries.plans.issue import IssueKind, Sight, evidence, matters, table
from queries.plans.measure import Measured

# Not ::text: a varchar shows so, and its index serves.
_CAST = re.compile(
    r'\((?P<column>[\w."]+)\)::(?P<type>numeric|double precision|real|date|timestamp with(?:out)? time zone) (?:=|<=|>=|<|>) '
)
LEAST_REMOVED = 0.9


def _find(measured: Measured) -> Iterator[Sight]:
    for node in measured.plan.nodes():
        cast = _CAST.search(node.text("Filter") or "")
        removed, rows = node.total("Rows Removed by Filter") or 0.0, node.actual_rows or 0.0
        wasted = removed > LEAST_REMOVED * (removed + rows)
        if node.type != "Seq Scan" or cast is None or not wasted or not matters(measured, node):
            continue
        yield Sight(
            node,
            f"{cast['column']} of {table(node)} is cast to {cast['type']} in each row before it is compared, so an index on it is of no use.",
            "Give the value the type of the column, in the statement or in the driver (a float or Decimal parameter for an integer "
            "column does this). For a day of a timestamp: >= the day AND < the next day.",
            f"\\d {table(node)} shows the type and whether there is an index; the filter must become an index condition.",
            evidence(node, "Filter", "Rows Removed by Filter", "Actual Rows"),
        )


ISSUE = IssueKind(
    name="cast_on_column",
    title="A column is cast before it is compared",
    recognise="The filter of a `Seq Scan` compares `(column)::numeric` or another cast to a number or a time.",
    guard="The filter removes more than 90 % of the rows. A cast to text is no sign: varchar columns show it always.",
    advice="Cast the value, not the column.",
    find=_find,
    instead_of=frozenset({"filtered_seq_scan"}),
)
