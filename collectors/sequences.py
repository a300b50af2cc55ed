"""How much of their range sequences have used: the range of the sequence itself and that of the column it feeds.

A bigint sequence that feeds an int column fails at 2,147,483,647, long before the sequence ends: both are compared.

Reading a sequence takes ROW EXCLUSIVE on it. Sequences with a lock that conflicts with it (ALTER SEQUENCE, DROP), held
or waited for, are left out and counted; so are those that the role may not read. A statement keeps such a lock on each
sequence that it read until it ends, and the server's table of locks has room for some thousands: it reads a part of them.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.model.facts import Facts
from pgvigil.model.series import Sample
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query
from pgvigil.problems import Problem
from pgvigil.sql.identifiers import quote_identifier, quote_name

MOST = 50  # sequences that are kept: those nearest to their end
PART = 200  # sequences that one statement reads, and so locks
MOST_NAMED = 20_000  # sequences that could not be read are known by name up to here: some 5 MB
_TIMEOUT_S, _BUDGET_S = 10.0, 30.0
_LAST_OID = 2**32 - 1


class Locked(NamedTuple):
    """Relations that a reader of sequences would wait for."""

    relations: list[int]


class Counts(NamedTuple):
    """The sequences of the database: all, those that the role may not read, and those locked just now."""

    sequences: int
    unreadable: int
    locked: int


class Name(NamedTuple):
    """A sequence by its name alone."""

    schema: str
    name: str

    @property
    def shown(self) -> str:
        return quote_name(self.schema, self.name)


class Part(NamedTuple):
    """Sequences with an oid from `first` on, and up to `last`."""

    first: int
    last: int


class Sequence(NamedTuple):
    """One sequence that has given a value. `limit_value` is where it fails: the end of the sequence or of the
    column's type, whichever comes first (`of_column`: the column's). One that cycles fails only at the column's.

    `relation` and `attribute` are None where it feeds no column that the catalogue knows of.
    """

    oid: int
    schema: str
    name: str
    relation_schema: str | None
    relation: str | None
    attribute: str | None
    type_name: str | None
    last_value: int
    limit_value: int
    step: int
    of_column: bool
    used_percent: float

    @property
    def shown(self) -> str:
        return quote_name(self.schema, self.name)

    @property
    def fed(self) -> str:
        """The column that it feeds, with its table; "" where it feeds none."""
        if self.relation_schema is None or self.relation is None or self.attribute is None:
            return ""
        return quote_name(self.relation_schema, self.relation, self.attribute)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencesReading:
    """`unread` parts were not come to in time: so many times PART sequences at most.

    `unjudged` are the sequences of those parts and the locked ones; None where they are more than MOST_NAMED.
    """

    sequences: tuple[Sequence, ...]
    counts: Counts
    unread: int = 0
    unjudged: tuple[Name, ...] | None = ()


LOCKED = Query(
    name="sequences_locked",
    row=Locked,
    columns=(Column("relations", "coalesce(array_agg(DISTINCT relation), '{}')"),),
    source="""
    FROM pg_locks
    WHERE locktype = 'relation'
      AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """,
)

COUNTS = Query(
    name="sequences_counts",
    row=Counts,
    columns=(
        Column("sequences", "count(*)", "All of the database.", "count"),
        Column(
            "unreadable",
            "count(*) FILTER (WHERE NOT has_sequence_privilege(oid, 'SELECT,USAGE'))",
            "Those that the role may not read.",
            "count",
        ),
        Column("locked", "count(*) FILTER (WHERE oid = ANY (%(locked)s::oid[]))", unit="count"),
    ),
    source="FROM pg_class WHERE relkind = 'S' AND relpersistence <> 't'",
)

PARTS = Query(
    name="sequences_parts",
    row=Part,
    columns=(Column("first", "min(oid)::int8"), Column("last", "max(oid)::int8")),
    source=f"""
    FROM (
      SELECT seqrelid::int8 AS oid, (row_number() OVER (ORDER BY seqrelid) - 1) / {PART} AS part FROM pg_sequence
    ) AS numbered
    GROUP BY part ORDER BY part
    """,
)

UNJUDGED = Query(
    name="sequences_unjudged",
    row=Name,
    columns=(Column("schema", "n.nspname::text"), Column("name", "c.relname::text")),
    source=f"""
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND c.relpersistence <> 't'
      AND (c.oid >= %(first)s::int8::oid OR c.oid = ANY (%(locked)s::oid[]))
    LIMIT {MOST_NAMED + 1}
    """,
)

# A serial or identity column owns its sequence; a plain default only depends on it. A standby cannot read unlogged ones.
SEQUENCES = Query(
    name="sequences",
    row=Sequence,
    columns=(
        Column("oid", "u.oid::int8"),
        Column("schema", "u.schema"),
        Column("name", "u.name"),
        Column("relation_schema", "u.relation_schema"),
        Column("relation", "u.relation", "Table that it feeds."),
        Column("attribute", "u.attribute", "Column that it feeds."),
        Column("type_name", "u.type_name", "Type of that column."),
        Column("last_value", "u.last_value", "The last value that it gave."),
        Column("limit_value", "u.limit_value::int8", "Where it fails."),
        Column("step", "u.step"),
        Column("of_column", "u.of_column", "Whether the column's type ends first.", "flag"),
        Column(
            "used_percent",
            "coalesce(100 * (u.last_value::numeric - u.first_value) / nullif(u.limit_value - u.first_value, 0), 100)::float8",
            "Used, of the range up to where it fails.",
            "percent",
        ),
    ),
    source=f"""
    FROM (
      SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, fed.relation_schema, fed.relation,
             fed.attribute, fed.type_name, v.last_value, s.seqincrement AS step, s.seqcycle,
             coalesce(CASE WHEN s.seqincrement > 0 THEN fed.most < s.seqmax ELSE -fed.most - 1 > s.seqmin END, false)
               AS of_column,
             CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, fed.most)
                  ELSE greatest(s.seqmin, -fed.most - 1) END::numeric AS limit_value,
             CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END::numeric AS first_value
      FROM pg_sequence AS s
      JOIN pg_class AS c ON c.oid = s.seqrelid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN LATERAL (
        SELECT rn.nspname::text AS relation_schema, r.relname::text AS relation, a.attname::text AS attribute,
               format_type(a.atttypid, a.atttypmod) AS type_name,
               CASE coalesce(nullif(t.typbasetype, 0), t.oid)
                 WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                 WHEN 'int8'::regtype THEN 9223372036854775807 END AS most
        FROM (
          SELECT d.refobjid AS relation, d.refobjsubid AS position FROM pg_depend AS d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
            AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
          UNION
          SELECT f.adrelid, f.adnum FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid
          WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
        ) AS use
        JOIN pg_class AS r ON r.oid = use.relation
        JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = use.relation AND a.attnum = use.position
        JOIN pg_type AS t ON t.oid = a.atttypid
        ORDER BY most NULLS LAST, r.oid LIMIT 1
      ) AS fed ON true
      CROSS JOIN LATERAL (
        SELECT CASE WHEN has_sequence_privilege(c.oid, 'SELECT,USAGE') AND c.oid <> ALL (%(locked)s::oid[])
                    THEN pg_sequence_last_value(c.oid) END AS last_value
      ) AS v
      WHERE s.seqrelid BETWEEN %(first)s::int8::oid AND %(last)s::int8::oid AND c.relkind = 'S'
        AND (c.relpersistence = 'p' OR (c.relpersistence = 'u' AND NOT pg_is_in_recovery()))
    ) AS u
    WHERE u.last_value IS NOT NULL AND (u.of_column OR NOT u.seqcycle)
    ORDER BY 12 DESC NULLS LAST, 1 LIMIT {MOST}
    """,
)


def read(reader: Reader) -> SequencesReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (locked,) = reader.rows(LOCKED)
    (counts,) = reader.rows(COUNTS, {"locked": locked.relations})
    parts: tuple[Part, ...] = reader.rows(PARTS) if counts.sequences else ()
    read_parts = tuple(_in_time(reader, parts, locked))
    nearest = sorted((each for part in read_parts for each in part), key=_order)
    unread = parts[len(read_parts) :]
    return SequencesReading(
        sequences=tuple(nearest[:MOST]),
        counts=counts,
        unread=len(unread),
        unjudged=_unjudged(reader, unread, locked) if unread or counts.locked else (),
    )


def _in_time(reader: Reader, parts: Iterable[Part], locked: Locked) -> Iterator[tuple[Sequence, ...]]:
    began_s = time.monotonic()
    for part in parts:
        if time.monotonic() - began_s > _BUDGET_S:
            return
        parameters = {"locked": locked.relations, "first": part.first, "last": part.last}
        yield reader.rows(SEQUENCES, parameters)


def _unjudged(reader: Reader, unread: tuple[Part, ...], locked: Locked) -> tuple[Name, ...] | None:
    """Those that are there and were not read, so that one that is gone can be told from them."""
    first = unread[0].first if unread else _LAST_OID
    names: tuple[Name, ...] = reader.rows(UNJUDGED, {"locked": locked.relations, "first": first})
    return names if len(names) <= MOST_NAMED else None


def _order(sequence: Sequence) -> tuple[float, int]:
    """The nearest to its end first."""
    return -sequence.used_percent, sequence.oid


def _samples(reading: SequencesReading) -> Iterable[Sample]:
    return (Sample(str(each.oid), float(each.last_value)) for each in reading.sequences)


def _problems(snapshot: Snapshot[SequencesReading], facts: Facts) -> Iterable[Problem]:
    counts = snapshot.rows.counts
    if counts.sequences and counts.unreadable == counts.sequences:
        yield Problem(
            slug="sequences-unreadable",
            sentence=f"None of the {counts.sequences:,} sequences of database {snapshot.database} can be read.",
            fix="GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO"
            f" {quote_identifier(facts.role)}; -- in each schema: `pgvigil grants` prints it",
            why="A sequence that runs out stops every insert into its table, and nobody sees it coming.",
        )


COLLECTOR = Collector(
    name="sequences",
    summary="How much of their range sequences have used, and of the type of the column that they feed",
    lane=LaneKind.DATABASES,
    interval_s=1800.0,
    timeout_s=_TIMEOUT_S,
    budget_s=_BUDGET_S,
    queries=(LOCKED, COUNTS, PARTS, SEQUENCES, UNJUDGED),
    read=read,
    tables={SEQUENCES.name: lambda reading: reading.sequences},
    series={"last_value": _samples},
    problems=_problems,
    families=(
        Family(
            name="sequence_used_ratio",
            help="Part of its range that the most used sequence has used, from 0 to 1.",
            rows=lambda reading: reading.sequences[:1],
            value=lambda row: row.used_percent / 100,
        ),
        Family(
            name="sequences_unreadable",
            help="Sequences that the role may not read.",
            rows=lambda reading: (reading.counts,),
            value=lambda row: row.unreadable,
        ),
    ),
)
