"""The room for the members of multixacts runs out, up to PostgreSQL 18."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _peers
from alerts.rules._forecasts import ForecastParams, by_time, forecast_figures, worse
from alerts.rules._wraparound import DAY_S
from collectors.wraparound import ID_SPACE, WraparoundReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.trends import Eta, Trend, eta, trend
from pgvigil.units import DurationS, Percent

_SUBJECT = "multixact members"
_FIRST_MULTIXACT = 1
_HALF = 2**31
_UNLIMITED_FROM = 190000


class MultixactMembersParams(ForecastParams, PercentParams):
    keep_firing_for_s: DurationS = Field(
        600.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: Percent | None = Field(60.0, description="Share of the places for members that is used.")
    critical: Percent | None = Field(80.0, description="Share of the places for members that is used.")
    clear: Percent | None = Field(50.0, description="At or below this share it has recovered.")
    warning_within_s: DurationS | None = Field(
        2 * DAY_S, alias="warning_within", description="A warning when they run out within this time."
    )
    critical_within_s: DurationS | None = Field(
        DAY_S / 4, alias="critical_within", description="Critical when they run out within this time."
    )
    min_used: Percent = Field(50.0, description="A forecast counts from this share on.")


class Used(NamedTuple):
    """Bounds of how many places are in use; `at_most` is None where the past that is known is too short."""

    at_least: float
    at_most: float | None


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: MultixactMembersParams, context: Context
) -> Judgement:
    rows: WraparoundReading = reading.rows
    unlimited = context.facts is not None and context.facts.version_num >= _UNLIMITED_FROM
    if unlimited or not rows.databases or _peers.told_by_primary(context):
        return Judgement((), Scope())
    if rows.checkpointed is None:
        kept = context.kept("pg_control_checkpoint()")
        way_out = "" if kept else ": GRANT EXECUTE ON FUNCTION pg_control_checkpoint() to the role"
        why = f"pg_control_checkpoint() may not be called{way_out}"
        return Judgement((), Scope(databases=frozenset(), reason=why, not_offered=kept))
    places = grown(context.history("member_places"))
    used = bounds(rows, context.history("member_multixacts"), places)
    slope = trend(places, DAY_S)
    when = eta(used.at_least, ID_SPACE, slope)
    level = _level(used, when, params)
    if level is None and not _certainly_low(used, params):
        why = "how many members older multixacts have is not known: they are from before pgvigil's first reading"
        return Judgement((), Scope(databases=frozenset(), reason=why))
    findings = () if level is None else (_finding(rows, used, when, slope, level, context),)
    return Judgement(findings, Scope())


def grown(points: Sequence[Point]) -> list[Point]:
    """The places given out since the first point: the number itself begins again at 2^32."""
    steps = ((new.value - old.value) % ID_SPACE for old, new in pairwise(points))
    totals = accumulate(steps, initial=0.0)
    return [Point(point.at, total) for point, total in zip(points, totals, strict=True)] if points else []


def bounds(rows: WraparoundReading, multixacts: Sequence[Point], places: Sequence[Point]) -> Used:
    """How many places lie between the first member of the oldest multixact and the next one.

    A reading before the oldest one was made gives too many, the first one after it too few. Where the oldest is the
    cluster's first, the places never began again, and their number is what is used.
    """
    if rows.checkpointed is None or rows.oldest_multixact == _FIRST_MULTIXACT:
        exact = float(rows.checkpointed.next_member) if rows.checkpointed is not None else 0.0
        return Used(exact, exact)
    when = {place.at: place.value for place in places}
    total = places[-1].value if places else 0.0
    known = [(point.value, when[point.at]) for point in multixacts if point.at in when]
    before = [place for multixact, place in known if not _later(multixact, rows.oldest_multixact)]
    after = [place for multixact, place in known if not _later(rows.oldest_multixact, multixact)]
    at_most = total - before[-1] if before else None
    return Used(total - after[0] if after else 0.0, 0.0 if rows.multixacts == 0 else at_most)


def _later(one: float, other: float) -> bool:
    """Whether `one` was given out after `other`, on the ring of ids."""
    return 0 < (one - other) % ID_SPACE < _HALF


def _level(used: Used, when: Eta | None, params: MultixactMembersParams) -> Level | None:
    percent = 100.0 * used.at_least / ID_SPACE
    return worse(grade(percent, params), by_time(when, params) if percent >= params.min_used else None)


def _certainly_low(used: Used, params: MultixactMembersParams) -> bool:
    return used.at_most is not None and grade(100.0 * used.at_most / ID_SPACE, params) is None


def _finding(
    rows: WraparoundReading,
    used: Used,
    when: Eta | None,
    slope: Trend | None,
    level: Level,
    context: Context,
) -> Finding:
    percent = 100.0 * used.at_least / ID_SPACE
    at_least = "" if used.at_most == used.at_least else "At least "
    each = used.at_least / rows.multixacts if rows.multixacts else 0.0
    end = "" if when is None else f"; they run out {when.words}"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_SUBJECT,
        level=level,
        summary=f"{at_least}{percent:.1f} % of the room for members of multixacts is used{end}",
        value=percent,
        evidence=Evidence(
            impact='At the end every statement that locks a row together with others fails: "multixact members limit'
            ' exceeded". With foreign keys these are ordinary inserts.',
            figures=(
                Figure("Members", f"{used.at_least:,.0f} of {ID_SPACE:,}"),
                Figure("Multixacts", f"{rows.multixacts:,} (about {each:,.0f} members each)"),
                *forecast_figures(when, slope),
            ),
            cause="Many transactions lock the same rows at once, mostly through foreign keys to a few parents: each one"
            " more copies all the members into a new multixact.",
        ),
        steps=(
            Step("Let go what holds the xmin horizon (xmin_horizon_held): old multixacts stay as long."),
            Step(
                "In the database with the oldest multixacts freeze the oldest tables, as commands (in psql: \\gexec).",
                "SELECT format('VACUUM (FREEZE) %I.%I /* multixacts: %s */', n.nspname, c.relname,"
                " mxid_age(c.relminmxid)) AS command FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
                " WHERE c.relkind IN ('r', 'm', 't') AND c.relminmxid <> '0'"
                " ORDER BY mxid_age(c.relminmxid) DESC LIMIT 20",
            ),
            Step(
                "For good: fewer sessions that insert children of one parent row at once, or no such foreign key."
            ),
        ),
    )


RULE = Rule(
    name="multixact_members",
    watches=("wraparound",),
    params=MultixactMembersParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="The members of all multixacts that are still needed share 2^32 places. With many members each, these run"
        " out long before the multixact ids do, and then rows cannot be locked together any more. From PostgreSQL 19"
        " on there is no such end, and nothing is judged.",
        magnitude="places for members in use, as a percentage of 2^32",
        why_these_defaults="From 50 % on PostgreSQL freezes multixacts ever earlier, at 75 % all of them"
        " (multixact.c, MultiXactMemberFreezeThreshold): at 60 % that is at work and does not suffice, at 80 % it"
        " has failed. No view of the server tells how many places are in use, so the numbers of the checkpoints are"
        " remembered: they bound it from the first reading on. Until the multixacts from before that are gone, low"
        " figures are told as not covered, high ones as `at least`. On a cluster whose multixacts were never frozen"
        " the figure is exact. It is as of the last checkpoint.",
        evidence="Members, multixacts, how many members each has, and when they run out.",
        what_to_do="Let go what holds the xmin horizon, then VACUUM (FREEZE) the tables with the oldest multixacts.",
        how_to_look="""\
SELECT next_multixact_id, next_multi_offset, oldest_multi_xid, checkpoint_time
FROM pg_control_checkpoint()""",
    ),
)
