"""A query beside its typed columns; the text is composed from what the server has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, LiteralString, TypeVar

from pgvigil.model.facts import Facts

Row = TypeVar("Row", bound=tuple[object, ...])

FRAME_ROWS = 512  # 13 columns of them are 80 kB


def start_of(text: LiteralString, most_bytes: int) -> LiteralString:
    """The expression of the first bytes of a text, which a session reads as it reads text.

    `left()` and its like fail on a character that the database's encoding does not know, and a view of the whole
    server shows the statements of databases with other encodings: one of them would hide all the others.
    """
    return f"substring(textsend({text}) FROM 1 FOR {most_bytes})"


@dataclass(frozen=True, slots=True)
class Column:
    """One output column: `sql` where the server has `needs` ("relation.column"), `otherwise` elsewhere.

    `unit` is one of s, ms, bytes, blocks, rows, count, percent, timestamp, flag, or empty for names and text.
    """

    name: str
    sql: LiteralString
    help: str = ""
    unit: str = ""
    needs: str | None = None
    otherwise: LiteralString = "NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Generic[Row]):
    """`source` is everything from FROM on. `{schema}` in it, or in a column, stands for the schema of `extension`.

    The fields of `row` (a NamedTuple) are the columns' names in order: a house test holds that. `needs` is a
    "relation.column" without which there is nothing to ask: its collector looks at `asks` first.
    """

    name: str
    row: type[Row]
    columns: tuple[Column, ...]
    source: LiteralString
    extension: str | None = None
    needs: str | None = None

    def asks(self, facts: Facts) -> bool:
        """Whether this server has what the query needs."""
        return self.needs is None or facts.has(self.needs)

    @property
    def column_names(self) -> tuple[str, ...]:
        """In order; the answer must have exactly these."""
        return tuple(column.name for column in self.columns)

    def text(self, facts: Facts) -> str:
        """The statement for this server, with the marker comment that lets us know our own."""
        return f"SELECT /* pgvigil:{self.name} */ {self._body(facts)}"

    def frame_text(self, facts: Facts) -> str:
        """The statement that answers with an array for each column, in the columns' order, cut into pieces.

        Each row holds the next FRAME_ROWS elements of all of them: libpq never gives back the memory that the
        longest row took, and hundreds of connections would each hold a whole reading.
        """
        arrays = ", ".join(f"array_agg(t.{column.name}) AS {column.name}" for column in self.columns)
        pieces = ", ".join(f"a.{column.name}[i:i+{FRAME_ROWS - 1}]" for column in self.columns)
        return (
            f"SELECT /* pgvigil:{self.name} */ {pieces} FROM (SELECT {arrays} FROM (SELECT {self._body(facts)}) AS t)"
            f" AS a, generate_series(1, cardinality(a.{self.columns[0].name}), {FRAME_ROWS}) AS i"
        )

    def _body(self, facts: Facts) -> str:
        chosen = ", ".join(f"{self._expression(column, facts)} AS {column.name}" for column in self.columns)
        body = f"{chosen} {self.source}"
        if self.extension is None:
            return body
        schema = facts.extensions[self.extension][0]
        return body.replace("{schema}", '"' + schema.replace('"', '""') + '"')

    @staticmethod
    def _expression(column: Column, facts: Facts) -> str:
        return column.sql if column.needs is None or facts.has(column.needs) else column.otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Show(Query[Row]):
    """A command of PgBouncer's admin console: `source` is the whole of it, and it answers with all that it knows.

    Which columns those are depends on the version. A column's `sql` names the one that it is taken from, `otherwise`
    the name that it had before; where the console has neither, the value is None.
    """

    def text(self, facts: Facts) -> str:  # noqa: ARG002 - the console takes no list of columns
        """The command. The console reads no comments, so that it bears no marker."""
        return self.source

    def places(self, answered: Sequence[str]) -> tuple[int | None, ...]:
        """For each column its place in an answer with these columns."""
        where = {name: place for place, name in enumerate(answered)}
        return tuple(where.get(column.sql, where.get(column.otherwise)) for column in self.columns)
