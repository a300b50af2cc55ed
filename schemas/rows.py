"""What a check answers with: the frame around its query, and the row that comes out of it."""

from typing import NamedTuple

from pgvigil.postgres.query import Column, Query
from schemas.check import Check

MOST_TOLD = 50  # rows of one check in one database that are told of one by one
MOST_KNOWN = 1000  # of the rest the subjects are known


class CheckRow(NamedTuple):
    """One thing that a check found. Names come quoted by the server: `subject` and the commands run as they stand.

    `subject` is the thing itself, stable: `index public.orders_customer_idx`. `relation` is the table that it
    belongs to. `figures` are pairs of name and value, `steps` of words and a command; a pair without its second
    half has no value, or no command, and one without its first is left out. `measures` are numbers that limits
    compare, by name. `found` is how many rows the check has in all, and `place` the row's own among them.
    """

    subject: str
    relation: str
    summary: str
    impact: str
    cause: str | None
    figures: list[list[str | None]]
    steps: list[list[str | None]]
    measures: dict[str, float | None]
    locked: bool
    definition: str | None
    place: int
    found: int


# `relations` are those that the row is about: while DDL has one of them the row is not judged. `classid` and
# `objid` name an index or a constraint, as in pg_depend, whose definition is shown. The largest `weight` is first.
COLUMNS = (
    Column("subject", "found.subject", "What it is about."),
    Column("relation", "found.relation", "Its table."),
    Column("summary", "found.summary"),
    Column("impact", "found.impact"),
    Column("cause", "found.cause"),
    Column("figures", "coalesce(found.figures, '{}')", "Names and values."),
    Column("steps", "coalesce(found.steps, '{}')", "What to do, and the command."),
    Column("measures", "coalesce(found.measures, '{}')", "What the rule's limits are compared with."),
    Column("locked", "found.locked", "DDL has it, or waits for it.", "flag"),
    Column(
        "definition",
        f"CASE WHEN NOT found.locked AND found.place <= {MOST_TOLD} THEN"
        " CASE found.classid WHEN 'pg_class'::regclass THEN pg_get_indexdef(found.objid)"
        " WHEN 'pg_constraint'::regclass THEN pg_get_constraintdef(found.objid) END END",
    ),
    Column("place", "found.place", "By weight.", "count"),
    Column("found", "found.found", "How many there are in all.", "count"),
)

_FRAME = """
FROM (
  SELECT checked.*, coalesce(checked.relations && %(locked)s::oid[], false) AS locked,
         row_number() OVER (ORDER BY checked.weight DESC NULLS LAST, checked.subject)::int AS place,
         (count(*) OVER ())::int AS found
  FROM (
{sql}
  ) AS checked
  WHERE NOT EXISTS (
    SELECT FROM pg_depend AS d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = ANY (checked.relations)
      AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  )
) AS found
WHERE found.place <= {most}
ORDER BY found.place
"""


def query_of(check: Check) -> Query[CheckRow]:
    """The check's query in its frame: the heaviest rows, what belongs to extensions left out."""
    sql = check.sql.replace("%", "%%")  # the frame has a parameter
    return Query(
        name=f"check_{check.name}",
        row=CheckRow,
        columns=COLUMNS,
        source=_FRAME.replace("{most}", str(MOST_KNOWN)).replace("{sql}", sql),
    )
