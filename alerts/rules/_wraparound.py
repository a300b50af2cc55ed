"""What the rules about running out of ids share: a level by share and by time, the databases, the way out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _horizon
from alerts.rules._forecasts import ForecastParams, by_time, forecast_figures, worse
from alerts.rules._tables import table_block
from collectors.wraparound import DatabaseAge, WraparoundReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from pgvigil.plugins import Context, PercentParams
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.text import one_line
from pgvigil.trends import Eta, Trend, eta, trend
from pgvigil.units import DurationS, Percent

_PAST_S = 86_400.0  # a day has its quiet and its busy hours
_SPAN_S = 1800.0  # a rate over less says nothing of days
_SHOWN = 8
DAY_S = 86_400.0


class WraparoundParams(ForecastParams, PercentParams):
    keep_firing_for_s: DurationS = Field(
        600.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: Percent | None = Field(50.0, description="Share of the ids that is used.")
    critical: Percent | None = Field(80.0, description="Share of the ids that is used.")
    clear: Percent | None = Field(45.0, description="At or below this share it has recovered.")
    warning_within_s: DurationS | None = Field(
        7 * DAY_S, alias="warning_within", description="A warning when writing would stop within this time."
    )
    critical_within_s: DurationS | None = Field(
        DAY_S, alias="critical_within", description="Critical when writing would stop within this time."
    )
    overdue: float = Field(
        1.25,
        ge=1,
        description="A forecast counts from so many times the age at which autovacuum freezes by itself.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One kind of ids: how many are used of how many, and the points of the counter that gives them out."""

    rule: str
    subject: str
    noun: str  # "transaction ids"
    used: int
    limit: int
    freeze_at: int  # the age at which autovacuum freezes by itself
    freeze_setting: str
    points: Sequence[Point]
    age_of: Callable[[DatabaseAge], int]
    oldest_tables: str  # SQL, to be run in the database
    error: str  # what the server says at the end


def forecast(space: Space) -> tuple[Eta | None, Trend | None]:
    """When the oldest database comes to the limit, if none of its tables is frozen, at the rate of the last day."""
    slope = trend(space.points, _PAST_S)
    if slope is None or slope.span_s < _SPAN_S:
        return None, None
    return eta(space.used, space.limit, slope), slope


def judged(
    space: Space, rows: WraparoundReading, params: WraparoundParams, context: Context
) -> Finding | None:
    """The finding, one for the whole server: None where there is nothing to say."""
    when, slope = forecast(space)
    level = _level(space, when, params)
    if level is None:
        return None
    percent = 100.0 * space.used / space.limit
    databases = sorted(rows.databases, key=lambda each: (-space.age_of(each), each.name))
    return Finding(
        rule=space.rule,
        target=context.target,
        database=None,
        subject=space.subject,
        level=level,
        summary=_summary(space, databases[0], percent, when),
        value=percent,
        evidence=Evidence(
            impact=f'At the limit every statement that writes fails: "{space.error}". Reading still works.',
            figures=(
                Figure("Used", f"{space.used:,} of {space.limit:,} ({percent:.1f} %)"),
                *forecast_figures(when, slope),
                *((Figure("Used per second", f"{slope.per_s:,.1f}"),) if slope is not None else ()),
                Figure(space.freeze_setting, f"{space.freeze_at:,}"),
            ),
            blocks=(
                table_block(
                    f"Age of the databases in {space.noun}",
                    ("age", "used", "database", "connections"),
                    [_row(space, each) for each in databases],
                    _SHOWN,
                ),
                *((_horizon.table(rows.holders),) * bool(_blockers(rows))),
            ),
            cause=_cause(space, rows),
        ),
        steps=_steps(space, rows, _to_freeze(space, databases)),
        explains=frozenset(
            key
            for each in rows.holders
            if _blockers(rows)
            for key in (_horizon.entity(each, rows.holders), *_horizon.holds_back(each))
        ),
    )


def _level(space: Space, when: Eta | None, params: WraparoundParams) -> Level | None:
    """What autovacuum was told to leave alone until now is one level milder, and no forecast of it counts."""
    by_share = grade(100.0 * space.used / space.limit, params)
    if by_share is not None and by_share > Level.INFO and space.used <= space.freeze_at:
        by_share = Level(by_share - 1)
    overdue = space.used >= params.overdue * space.freeze_at
    return worse(by_share, by_time(when, params) if overdue else None)


def _summary(space: Space, oldest: DatabaseAge, percent: float, when: Eta | None) -> str:
    text = (
        f"{percent:.1f} % of the {space.noun} are used (database {one_line(oldest.name, 60)} was not frozen for"
        f" {space.used:,})"
    )
    return text if when is None else f"{text}; writing stops {when.words}"


def _to_freeze(space: Space, databases: Sequence[DatabaseAge]) -> DatabaseAge:
    """Where to begin: the oldest that admits us, unless one that does not is much older."""
    oldest = space.age_of(databases[0])
    return next(
        (each for each in databases if each.connectable and space.age_of(each) >= 0.9 * oldest), databases[0]
    )


def _row(space: Space, database: DatabaseAge) -> tuple[object, ...]:
    age = space.age_of(database)
    allowed = "" if database.connectable else "not allowed"
    return (age, f"{100.0 * age / space.limit:.1f} %", database.name, allowed)


def _blockers(rows: WraparoundReading) -> bool:
    """Whether somebody's snapshot is so old that vacuum could not have frozen much more."""
    return bool(rows.holders) and rows.holders[0].xids >= max(rows.xids // 2, 1) > 1


def _cause(space: Space, rows: WraparoundReading) -> str:
    if _blockers(rows):
        holder = rows.holders[0]
        return (
            f"Vacuum cannot freeze what {_horizon.named(holder)} may still have to see: it holds back"
            f" {holder.xids:,} transactions."
        )
    if space.used <= space.freeze_at:
        return (
            f"{space.freeze_setting} is {space.freeze_at:,}: autovacuum does not begin to freeze before, and"
            " little room is left for it to fail."
        )
    return (
        "Autovacuum freezes every table that is older than"
        f" {space.freeze_at:,}; it does not get on: too slow (cost limits), cancelled again and again by locks,"
        " or stopped by an error such as a damaged page or index. The server's log says which."
    )


def _steps(space: Space, rows: WraparoundReading, oldest: DatabaseAge) -> tuple[Step, ...]:
    blocked = _horizon.steps(rows.holders[0]) if _blockers(rows) else ()
    first = (
        (Step(f"First end what vacuum waits for, or it is of no use: {_horizon.named(rows.holders[0])}."),)
        if blocked
        else ()
    )
    return (*first, *blocked, *_freeze(space, oldest))


def _freeze(space: Space, oldest: DatabaseAge) -> tuple[Step, ...]:
    name = one_line(oldest.name, 60)
    if not oldest.connectable:
        return (
            Step(
                f"Database {name} admits nobody. Autovacuum visits it all the same; if it is stuck, allow connections,"
                " VACUUM (FREEZE) the database, and forbid them again (as a superuser).",
                f"ALTER DATABASE {quote_identifier(oldest.name)} WITH ALLOW_CONNECTIONS true",
            ),
        )
    return (
        Step(
            f"In database {name}: the tables to freeze, the oldest first, as commands. Run them one by one (in psql:"
            " \\gexec). No VACUUM FULL; no single-user mode: it is never needed on 14 and later.",
            space.oldest_tables,
        ),
        Step(
            "See what runs already, and how far it is. Quicker: vacuum_cost_delay = 0 for the session, and on 14 and"
            " later INDEX_CLEANUP off.",
            "SELECT p.pid, p.datname, p.relid, p.phase, p.heap_blks_scanned, p.heap_blks_total, a.query"
            " FROM pg_stat_progress_vacuum AS p JOIN pg_stat_activity AS a ON a.pid = p.pid",
        ),
    )
