"""What the rules about bloat share: share and size together, and what could not be told."""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _peers
from collectors.bloat import Bloat, BloatReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams
from pgvigil.text import one_line
from pgvigil.units import Percent, SizeBytes, format_size


class BloatParams(PercentParams):
    warning: Percent | None = Field(50.0, description="Share of its size that its rows do not need.")
    clear: Percent | None = Field(40.0, description="At or below this share it has recovered.")
    min_size: SizeBytes = Field(1024**3, description="What is not needed must be as much, to be a warning.")
    info_size: SizeBytes = Field(256 * 1024**2, description="From here on it is info.")


def judge(
    rule: str,
    reading: Snapshot[Any] | Delta[Any],
    params: BloatParams,
    context: Context,
    *,
    indexes: bool,
    describe: Callable[[Bloat], tuple[str, str, tuple[Step, ...]]],
) -> Judgement:
    """A finding for each relation; `describe` gives the impact, the cause and the steps."""
    database = reading.database if isinstance(reading, Snapshot) else None
    databases = None if database is None else frozenset({database})
    rows: BloatReading = reading.rows
    if _peers.told_by_primary(context):
        return Judgement((), Scope(databases=databases))
    relations = [each for each in rows.relations if each.candidate.is_index is indexes]
    found = []
    for each in relations:
        level = None if each.needed_bytes is None else _level(each, params)
        if level is not None:
            found.append(_finding(rule, each, level, database, context, describe(each)))
    unknown = [each for each in relations if each.needed_bytes is None]
    return Judgement(
        tuple(found),
        Scope(
            databases=databases,
            not_covered=frozenset(_subject(each) for each in unknown),
            reason="; ".join(sorted({each.why for each in unknown})),
        ),
    )


def _level(bloat: Bloat, params: BloatParams) -> Level | None:
    level = grade(bloat.percent, params)
    if level is None or bloat.wasted_bytes < params.info_size:
        return None
    return min(level, Level.INFO) if bloat.wasted_bytes < params.min_size else level


def _kind(bloat: Bloat) -> str:
    return "index" if bloat.candidate.is_index else "table"


def _subject(bloat: Bloat) -> str:
    return f"{_kind(bloat)} {bloat.shown}"


def _finding(
    rule: str,
    bloat: Bloat,
    level: Level,
    database: str | None,
    context: Context,
    described: tuple[str, str, tuple[Step, ...]],
) -> Finding:
    impact, cause, steps = described
    size, wasted = format_size(bloat.candidate.size_bytes), format_size(bloat.wasted_bytes)
    return Finding(
        rule=rule,
        target=context.target,
        database=database,
        subject=_subject(bloat),
        level=level,
        summary=f"About {bloat.percent:.0f} % of {_kind(bloat)} {one_line(bloat.shown, 80)} is not needed by its rows:"
        f" {wasted} of {size}",
        value=bloat.percent,
        evidence=Evidence(
            impact=impact,
            figures=(
                Figure("Size", size),
                Figure("Its rows need", f"about {format_size(bloat.needed_bytes or 0.0)}"),
                Figure("Rows", f"{bloat.candidate.rows:,.0f}"),
                Figure("Fill factor", f"{bloat.candidate.fill_percent:.0f} %"),
            ),
            cause=cause,
            notes=("An estimate from the rows, pages and widths of the last vacuum or analyze.",),
        ),
        steps=steps,
    )
