"""A sequence comes to its end, or to that of the column that it feeds."""

from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules._forecasts import ForecastParams, by_time, forecast_figures, worse
from alerts.rules._peers import told_by_primary
from collectors.sequences import Name, Sequence, SequencesReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.text import one_line
from pgvigil.trends import Eta, Trend, eta, trend
from pgvigil.units import DurationS, Percent

_PAST_S = 14 * 86_400.0  # weekly work counts with its right share
_SPAN_S = 6 * 3600.0  # a slope over less than this says nothing about weeks
_WEEK_S = 7 * 86_400.0  # a quiet night or weekend is no proof that a sequence rests


class SequenceExhaustionParams(ForecastParams, PercentParams):
    warning: Percent | None = Field(80.0, description="Share of its range that is used.")
    critical: Percent | None = Field(95.0, description="Share of its range that is used.")
    clear: Percent | None = Field(75.0, description="At or below this share it has recovered.")
    warning_within_s: DurationS | None = Field(
        30 * 86_400.0, alias="warning_within", description="A warning when it ends within this time."
    )
    critical_within_s: DurationS | None = Field(
        3 * 86_400.0, alias="critical_within", description="Critical when it ends within this time."
    )
    far_s: DurationS = Field(
        730 * 86_400.0,
        alias="far",
        description="Where even the soonest end is farther than this, the share alone is only info.",
    )
    min_used: Percent = Field(10.0, description="A forecast counts from this share on.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: SequenceExhaustionParams, context: Context
) -> Judgement:
    database = reading.database if isinstance(reading, Snapshot) else None
    rows: SequencesReading = reading.rows
    sequences = () if told_by_primary(context) else rows.sequences
    found = (_judged(row, params, context, database) for row in sequences)
    return Judgement(tuple(each for each in found if each is not None), _scope(rows, database))


def _scope(reading: SequencesReading, database: str | None) -> Scope:
    """One that is locked, or was not come to in time, has not recovered; one that is gone has."""
    databases = frozenset({database}) if database is not None else None
    if not (reading.unread or reading.counts.locked):
        return Scope(databases=databases)
    unjudged = reading.unjudged
    return Scope(
        databases=databases,
        not_covered=frozenset(_subject(each) for each in unjudged or ()),
        only=frozenset(map(_subject, reading.sequences)) if unjudged is None else None,
        reason="it could not be read: locked just now, or one of too many",
    )


def _subject(row: Sequence | Name) -> str:
    return f"sequence {row.shown}"


def _judged(
    row: Sequence, params: SequenceExhaustionParams, context: Context, database: str | None
) -> Finding | None:
    forward = 1 if row.step > 0 else -1
    points = [
        point._replace(value=forward * point.value) for point in context.history("last_value", str(row.oid))
    ]
    slope = trend(points, _PAST_S)
    known = slope is not None and slope.span_s >= _SPAN_S
    when = eta(forward * row.last_value, forward * row.limit_value, slope) if known else None
    level = _level(row, when, slope if known else None, params)
    if level is None:
        return None
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=_subject(row),
        level=level,
        summary=_summary(row, when),
        value=row.used_percent,
        evidence=Evidence(
            impact=_impact(row),
            figures=(
                Figure("Last value", f"{row.last_value:,}"),
                Figure("Fails at", f"{row.limit_value:,} ({_whose(row)})"),
                Figure("Used", f"{row.used_percent:.1f} %"),
                *((Figure("Feeds", one_line(row.fed, 120)),) * bool(row.fed)),
                *forecast_figures(when, slope),
            ),
            cause="Every nextval() takes a value, also those of transactions that were rolled back and of"
            " INSERT ... ON CONFLICT that inserted nothing.",
        ),
        steps=_steps(row),
    )


def _level(
    row: Sequence, when: Eta | None, slope: Trend | None, params: SequenceExhaustionParams
) -> Level | None:
    """By share, softened where the end is known to be far; by time, once a part of the range is used.

    What is critical by its share is softened only by a week that says so, its nights and its weekend.
    """
    by_share = grade(row.used_percent, params)
    far = slope is not None and (when is None or when.soonest_s > params.far_s)
    a_week = slope is not None and slope.span_s >= _WEEK_S
    if far and by_share is not None and row.used_percent < 99 and (a_week or by_share < Level.CRITICAL):
        by_share = min(by_share, Level.INFO)
    soon = by_time(when, params) if row.used_percent >= params.min_used else None
    return worse(by_share, soon)


def _whose(row: Sequence) -> str:
    return f"{row.type_name} column" if row.of_column else "end of the sequence"


def _summary(row: Sequence, when: Eta | None) -> str:
    name = one_line(row.shown, 80)
    text = f"Sequence {name} has used {row.used_percent:.1f} % of its range ({_whose(row)})"
    return text if when is None else f"{text}; it ends {when.words}"


def _impact(row: Sequence) -> str:
    what = f"an insert that takes {one_line(row.fed, 80)} from it" if row.fed else "nextval()"
    error = "integer out of range" if row.of_column else "reached maximum value of sequence"
    return f'At its end every {what.removeprefix("an ")} fails: "{error}".'


def _steps(row: Sequence) -> tuple[Step, ...]:
    look = Step("See where it stands.", f"SELECT last_value, is_called FROM {row.shown}")
    if row.of_column:
        return (
            look,
            Step(
                "For good: a bigint column. ALTER COLUMN TYPE rewrites the table under ACCESS EXCLUSIVE, so on a large"
                " table add a bigint column, fill it in batches with a trigger keeping it current, and swap; the"
                " columns that refer to it need the same.",
            ),
            Step(
                "In need: where values are not ordered by anybody and negative ones do no harm, start again from the"
                " other end; that gives as many again, and time.",
                f"ALTER SEQUENCE {row.shown} MINVALUE {_lowest(row)} RESTART WITH {_lowest(row)}"
                if row.step > 0
                else None,
            ),
        )
    return (
        look,
        Step(
            "Raise its end. It takes a short lock on the sequence only.",
            f"ALTER SEQUENCE {row.shown} AS bigint {'MAXVALUE 9223372036854775807' if row.step > 0 else 'NO MINVALUE'}",
        ),
        Step("See that the column that it feeds is bigint too, or that one fails next."),
    )


def _lowest(row: Sequence) -> int:
    return -row.limit_value - 1


RULE = Rule(
    name="sequence_exhaustion",
    watches=("sequences",),
    params=SequenceExhaustionParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A sequence has used most of the values that it can give, or that the column can hold which it feeds:"
        " a bigint sequence on an int column fails at 2,147,483,647. From that moment every insert fails, and the"
        " repair of a large table takes days: this is worth a warning long before.",
        magnitude="used part of the range up to where it fails, a percentage",
        why_these_defaults="80 % is between pgmonitor's 75 and PgHero's 90; 95 % leaves little time whatever the pace."
        " Time decides where it is known: a change of type on a large table takes weeks of care (30 days: a warning) and"
        " cannot be had in a night (3 days: critical). A sequence at 80 % that needs more than two years for the rest"
        " is told as info; from 95 % on only when a week is known, because a quiet weekend is no proof. A forecast stands"
        " on at least six hours and the last two weeks, and not below 10 %, where it would only say that the table is"
        " young.",
        evidence="The last value, where it fails and whether the sequence or the column ends first, the column that it"
        " feeds, and the forecast with its uncertainty.",
        what_to_do="Column too small: change it to bigint, with the columns that refer to it. Sequence too small: raise"
        " its end, which is quick. In need an int sequence can go on from the negative end.",
        how_to_look="""\
SELECT schemaname, sequencename, data_type, last_value, max_value,
       round(100.0 * last_value / max_value, 2) AS percent_of_the_sequence
FROM pg_sequences
WHERE last_value IS NOT NULL
ORDER BY 6 DESC
LIMIT 20""",
    ),
)
