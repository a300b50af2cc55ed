"""The rule that users make themselves: a limit on any column that a collector reads.

By itself it judges nothing. Each `[rules.threshold.instances.NAME]` is a rule of its own, `threshold.NAME`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from alerts.grading import counted, grade
from alerts.rules._columns import columns_beside, is_number, one_of, parsed, shown, tables_of
from alerts.rules._tables import table_block
from pgvigil.model.evidence import Block, Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, MagnitudeParams, NumberParams, Rule, RuleDoc
from pgvigil.postgres.query import Query
from pgvigil.registry import collectors
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line

_SHOWN_ROWS = 8

Aggregate = Literal["max", "min", "sum", "count", "avg"]
_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "max": max,
    "min": min,
    "sum": sum,
    "count": len,
    "avg": lambda values: sum(values) / len(values),
}


class ThresholdParams(MagnitudeParams):
    """One instance. Limits are numbers in the column's unit, or text with a unit ("30s", "10MB", "80 %")."""

    title: str = Field(
        "", max_length=120, description="What the messages call it; default: the aggregate and the column."
    )
    collector: str = Field(description="The collector whose reading is judged.", examples=["activity"])
    table: str = Field("", description="The collector's table; needed where several have the column.")
    column: str = Field(description="The column that is judged.", examples=["sessions"])
    comparison: Literal["above", "below"] = Field(
        "above", description="Whether values at or above the limits are bad, or those at or below."
    )
    aggregate: Aggregate = Field("max", description="What is made of the rows that match.")
    where: dict[str, str | bool | int | float] = Field(
        {}, description="Only rows whose columns have these values."
    )
    group_by: tuple[str, ...] = Field((), description="One finding for each value of these columns.")
    warning: float | str | None = Field(None, description="Limit, in the column's unit.")
    critical: float | str | None = Field(None, description="Limit, in the column's unit.")
    clear: float | str | None = Field(
        None, description="At this value, or on its good side, it has recovered."
    )

    _limits: NumberParams = PrivateAttr()

    @field_validator("collector")
    @classmethod
    def _known_collector(cls, name: str) -> str:
        return one_of(name, [each.name for each in collectors().values() if each.tabled], "collector")

    @field_validator("table")
    @classmethod
    def _known_table(cls, name: str, info: ValidationInfo) -> str:
        collector = collectors().get(info.data.get("collector", ""))
        return name if collector is None or not name else one_of(name, list(collector.tabled), "table")

    @field_validator("column")
    @classmethod
    def _known_column(cls, name: str, info: ValidationInfo) -> str:
        tables = tables_of(info.data.get("collector", ""), info.data.get("table", ""))
        if not tables:
            return name
        one_of(name, sorted({column for query in tables for column in query.row._fields}), "column")
        having = [query.name for query in tables if name in query.row._fields]
        if len(having) > 1:
            raise ValueError(
                f"several tables have a column {name!r}: set table to one of {', '.join(having)}"
            )
        return name

    @field_validator("where", "group_by")
    @classmethod
    def _known_columns(cls, given: Any, info: ValidationInfo) -> Any:
        known = columns_beside(*(info.data.get(key, "") for key in ("collector", "table", "column")))
        for name in given if known else ():
            one_of(name, known, "column")
        return given

    @model_validator(mode="after")
    def _ordered(self) -> "ThresholdParams":
        if self.aggregate != "count" and not is_number(self.query, self.column):
            raise ValueError(f"column {self.column!r} is no number: it can only be counted (aggregate)")
        clear, warning, critical = (
            parsed(key, getattr(self, key), self.unit) for key in ("clear", "warning", "critical")
        )
        given = [value for value in (clear, warning, critical) if value is not None]
        if warning is None and critical is None:
            raise ValueError("warning, critical or both must be given")
        if given != sorted(given, reverse=self.comparison == "below"):
            order = ">=" if self.comparison == "below" else "<="
            raise ValueError(f"clear {order} warning {order} critical must hold")
        self._limits = NumberParams.model_construct(clear=clear, warning=warning, critical=critical)
        return self

    @property
    def limits(self) -> NumberParams:
        """The limits as numbers, in the column's unit."""
        return self._limits

    @property
    def query(self) -> Query[Any]:
        """The table that holds the column."""
        tables = tables_of(self.collector, self.table)
        return next(query for query in tables if self.column in query.row._fields)

    @property
    def unit(self) -> str:
        """Of what is judged: the column's, or rows where they are counted."""
        if self.aggregate == "count":
            return "rows"
        return next(column.unit for column in self.query.columns if column.name == self.column)


def evaluate(reading: Snapshot[Any] | Delta[Any], params: ThresholdParams, context: Context) -> Judgement:
    if isinstance(reading, Delta) and reading.unknown is not None:
        return Judgement((), replace(NOTHING, reason=reading.unknown))
    database = reading.database if isinstance(reading, Snapshot) else None
    rows = collectors()[params.collector].tables[params.query.name](reading.rows)
    found = tuple(
        _finding(values, matching, level, value, params, context, database)
        for values, matching in _groups(rows, params).items()
        if (value := _aggregated(matching, params)) is not None
        and (level := grade(value, params.limits, below=params.comparison == "below")) is not None
    )
    return Judgement(found, Scope(databases=None if database is None else frozenset({database})))


def _groups(rows: Sequence[Any], params: ThresholdParams) -> Mapping[tuple[Any, ...], list[Any]]:
    """The rows that match, by the values of `group_by`; without it one group, empty or not."""
    groups: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    if not params.group_by:
        groups[()] = []
    for row in rows:
        if all(getattr(row, column) == wanted for column, wanted in params.where.items()):
            groups[tuple(getattr(row, column) for column in params.group_by)].append(row)
    return groups


def _aggregated(rows: Sequence[Any], params: ThresholdParams) -> float | None:
    """None where there is nothing to say: no rows, or no values but NULLs. A sum or count of nothing is 0."""
    values = [value for row in rows if (value := getattr(row, params.column)) is not None]
    if not values and params.aggregate not in {"sum", "count"}:
        return None
    return float(_AGGREGATES[params.aggregate](values))


def _finding(
    values: tuple[Any, ...],
    rows: Sequence[Any],
    level: Level,
    value: float,
    params: ThresholdParams,
    context: Context,
    database: str | None,
) -> Finding:
    title = one_line(params.title) or f"{params.aggregate} of {params.column}"
    group = ", ".join(
        f"{column} {one_line(str(each), 60)}" for column, each in zip(params.group_by, values, strict=True)
    )
    value_text = shown(value, params.unit)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=_subject(values, params),
        level=level,
        summary=f"{title}: {value_text}{f' ({group})' if group else ''}",
        value=value,
        evidence=Evidence(
            impact=f"The {params.aggregate} of {params.collector}.{params.column} over"
            f" {counted(len(rows), 'row')} is {value_text}.",
            figures=_figures(value_text, params),
            blocks=(_rows_block(rows, params),) if rows else (),
        ),
        steps=(
            Step("A limit that you set yourselves: [rules.threshold.instances] says why it is there."),
            Step("See above which rows it is made of, and in /api/v1/targets when they were read."),
        ),
    )


def _subject(values: tuple[Any, ...], params: ThresholdParams) -> str:
    """Values are quoted, so that no two groups share an identity whatever they hold."""
    pairs = zip(params.group_by, values, strict=True)
    return ", ".join(f"{column}={quote_text(str(value))}" for column, value in pairs) or "all"


def _figures(value_text: str, params: ThresholdParams) -> tuple[Figure, ...]:
    limits = ((word, getattr(params.limits, word)) for word in ("warning", "critical", "clear"))
    return (
        Figure("Value", value_text),
        *(
            Figure(f"{word.capitalize()} {params.comparison}", shown(limit, params.unit))
            for word, limit in limits
            if limit is not None
        ),
    )


def _rows_block(rows: Sequence[Any], params: ThresholdParams) -> Block:
    """The worst rows, by the columns that the instance itself speaks of."""
    columns = tuple(dict.fromkeys((params.column, *params.group_by, *params.where)))
    known = [row for row in rows if isinstance(getattr(row, params.column), int | float)]
    known.sort(key=lambda row: getattr(row, params.column), reverse=params.comparison == "above")
    cells = [tuple(getattr(row, column) for column in columns) for row in known or rows]
    return table_block("Rows", columns, cells, _SHOWN_ROWS)


RULE = Rule(
    name="threshold",
    watches=(),
    params=ThresholdParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A limit of your own on a column that a collector reads. Each [rules.threshold.instances.NAME]"
        " is a rule of its own, with its own for, keep_firing_for and overrides. It judges each reading of the"
        " collector: the rows that match where, grouped by group_by, aggregated to one value.",
        magnitude="the aggregated column, in the column's unit (see the collector's page); text such as"
        ' "30s" or "10MB" is accepted where the column has a unit',
        why_these_defaults="None: only you know what the number should be. Give clear some distance from"
        " warning, so that a value that dances around the limit is one incident. Without rows there is nothing"
        " to judge, and it has recovered; a sum or a count of no rows is 0.",
        evidence="The value, the limits, and the rows with the worst values. Columns that hold statement texts"
        " cannot be shown or matched.",
        what_to_do="What you wrote it for. The title is what people will read at night: make it a sentence.",
        how_to_look="""\
-- the columns of each collector, with the query that reads them, are on the collectors' pages; for example:
SELECT state, count(*) FROM pg_stat_activity GROUP BY 1""",
    ),
)
