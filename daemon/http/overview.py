"""What the page shows, decided here and only drawn by the templates: trouble first, the quiet folded away."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from daemon.board import TargetView, TopStatement
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.problems import Problem

SILENT_INTERVALS = 5.0  # without one reading in so many, what was read before is not said of now
SILENT_S = 30.0  # and never sooner than this
FULL_INCIDENTS = 20  # in full; the rest in a line each, with a link
UNFOLDED = 3
MOST_LINES = 200
QUIET_SHOWN = 12  # more quiet targets than this are folded
STATEMENTS_EACH = 10
TARGETS_EACH = 4  # of more targets than this, one list has the heaviest statements of all


class Condition(StrEnum):
    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """One target. What is not known is None."""

    view: TargetView
    condition: Condition
    why: str
    age_s: float | None  # of the newest reading
    connections: int | None
    usable: int | None
    incidents: tuple[Incident, ...]  # open, and nobody else's part

    @property
    def percent(self) -> int | None:
        return None if not self.usable or self.connections is None else 100 * self.connections // self.usable

    @property
    def troubled(self) -> bool:
        return self.condition is not Condition.UP or bool(self.incidents)

    @property
    def worst(self) -> int:
        return max((item.severity for item in self.incidents), default=Level.HOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentCard:
    """An open incident with those that are part of it. `open` says whether its account is unfolded at first."""

    item: Incident
    age_s: float
    children: tuple[Incident, ...] = ()
    open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementList:
    """The heaviest statements of a target, or of all together; each with its target and its calls a minute."""

    title: str
    since: datetime
    until: datetime
    rows: tuple[tuple[str, TopStatement, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemGroup:
    """The problems of one slug."""

    slug: str
    docs: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """`counts` are of everything, whatever the filter hides."""

    now: datetime
    counts: dict[str, int]
    total: int
    shown: int
    cards: tuple[IncidentCard, ...]
    lines: tuple[IncidentCard, ...]
    troubled: tuple[TargetRow, ...]
    quiet: tuple[TargetRow, ...]
    statements: tuple[StatementList, ...]
    problems: tuple[ProblemGroup, ...]

    @property
    def fold_quiet(self) -> bool:
        return len(self.quiet) > QUIET_SHOWN

    @property
    def lines_shown(self) -> tuple[IncidentCard, ...]:
        return self.lines[:MOST_LINES]

    @property
    def lines_left(self) -> int:
        return len(self.lines) - len(self.lines_shown)

    @property
    def open_count(self) -> int:
        return sum(self.counts[word] for word in ("critical", "warning", "info", "unknown"))


def overview(
    views: Sequence[TargetView],
    own_problems: Iterable[Problem],
    now: datetime,
    *,
    target: str,
    query: str,
    own_incidents: Sequence[Incident] = (),
) -> Overview:
    """Everything on the page but the past. `target` is a name, `query` a part of a name or of a label.

    What is pgvigil's own belongs to no target, and is shown whatever the filter hides.
    """
    rows = [target_row(view, now) for view in views]
    shown = [row for row in rows if _wanted(row.view, target, query)]
    cards = incident_cards([row.view for row in shown], now, own_incidents)
    quiet = tuple(row for row in shown if not row.troubled)
    return Overview(
        now=now,
        counts=_counts(rows, own_incidents),
        total=len(rows),
        shown=len(shown),
        cards=cards[:FULL_INCIDENTS],
        lines=cards[FULL_INCIDENTS:],
        troubled=tuple(sorted((row for row in shown if row.troubled), key=_trouble)),
        quiet=quiet,
        statements=statement_lists([row.view for row in shown]),
        problems=_groups((*own_problems, *(problem for row in shown for problem in row.view.problems))),
    )


def _wanted(view: TargetView, target: str, query: str) -> bool:
    words = (view.name, *(f"{name}={value}" for name, value in view.labels.items()))
    return target in ("", view.name) and any(query.lower() in word.lower() for word in words)


def _counts(rows: Sequence[TargetRow], more: Sequence[Incident]) -> dict[str, int]:
    """Open incidents by level, with the unknown ones apart, and targets by condition."""
    counts = dict.fromkeys(("critical", "warning", "info", "unknown"), 0)
    of_targets = (item for row in rows for item in row.incidents)
    for item in (*of_targets, *(item for item in more if _told(item))):
        counts["unknown" if item.state is State.UNKNOWN else item.severity.word] += 1
    targets = {f"targets_{each.value}": sum(row.condition is each for row in rows) for each in Condition}
    return counts | targets


# --- incidents --------------------------------------------------------------------------------------------


def incident_cards(
    views: Sequence[TargetView], now: datetime, more: Sequence[Incident] = ()
) -> tuple[IncidentCard, ...]:
    """The worst first, then the oldest; what is part of another open one stands with that one."""
    shown = [item for item in (*more, *(each for view in views for each in view.incidents)) if _told(item)]
    known = {item.id for item in shown}
    roots = sorted((item for item in shown if item.parent_id not in known), key=_urgency)
    return tuple(
        incident_card(item, shown, now, unfolded=position < UNFOLDED) for position, item in enumerate(roots)
    )


def incident_card(
    item: Incident, others: Iterable[Incident], now: datetime, *, unfolded: bool = True
) -> IncidentCard:
    children = tuple(sorted((each for each in others if each.parent_id == item.id), key=_urgency))
    until = item.resolved_at or now
    age_s = max(0.0, (until - item.pending_since).total_seconds())
    return IncidentCard(item=item, age_s=age_s, children=children, open=unfolded)


def _told(item: Incident) -> bool:
    return item.state in {State.FIRING, State.UNKNOWN}


def _urgency(item: Incident) -> tuple[object, ...]:
    """The newest of equals first: what began tonight does not stand below what has been open for weeks."""
    age = -item.pending_since.timestamp()
    return (item.suppressed_by is not None, item.state is State.UNKNOWN, -item.severity, age)


# --- targets ----------------------------------------------------------------------------------------------


def target_row(view: TargetView, now: datetime) -> TargetRow:
    """What is known of the target now; a reading that is too old is none."""
    last = max((c.last_success_at for c in view.collectors if c.last_success_at is not None), default=None)
    age_s = None if last is None else max(0.0, (now - last).total_seconds())
    condition, why = _condition(view, age_s)
    known = {item.id for item in view.incidents if _told(item)}
    return TargetRow(
        view=view,
        condition=condition,
        why=why,
        age_s=age_s,
        connections=sum(count.sessions for count in view.sessions) if view.sessions else None,
        usable=view.facts.max_connections - view.facts.reserved_connections if view.facts else None,
        incidents=tuple(item for item in view.incidents if _told(item) and item.parent_id not in known),
    )


def _condition(view: TargetView, age_s: float | None) -> tuple[Condition, str]:
    if view.availability is None:
        return Condition.UNKNOWN, "not tried yet"
    if not view.up:
        failure = view.availability.failure
        return Condition.DOWN, "" if failure is None else f"{failure.kind.value}: {failure.message}"
    often_s = min((collector.interval_s for collector in view.collectors), default=0.0)
    if age_s is not None and age_s > max(SILENT_S, SILENT_INTERVALS * often_s):
        return Condition.UNKNOWN, "answered last, but nothing was read of late"
    return Condition.UP, ""


def _trouble(row: TargetRow) -> tuple[object, ...]:
    return (row.condition is not Condition.DOWN, -row.worst, row.condition is Condition.UP, row.view.name)


# --- statements and problems ------------------------------------------------------------------------------


def statement_lists(views: Sequence[TargetView], most: int = STATEMENTS_EACH) -> tuple[StatementList, ...]:
    """One list for each of a few targets; of many targets the heaviest statements of all."""
    lists = tuple(each for view in views if (each := statements_of(view, most)) is not None)
    if len(lists) <= TARGETS_EACH:
        return lists
    rows = sorted((row for each in lists for row in each.rows), key=lambda row: -row[1].exec_s)
    return (
        StatementList(
            title="All targets shown",
            since=min(each.since for each in lists),
            until=max(each.until for each in lists),
            rows=tuple(rows[: 2 * most]),
        ),
    )


def statements_of(view: TargetView, most: int) -> StatementList | None:
    if view.top is None:
        return None
    minutes = max(view.top.elapsed_s, 1.0) / 60
    rows = tuple((view.name, each, each.calls / minutes) for each in view.top.statements[:most])
    return StatementList(title=view.name, since=view.top.since, until=view.top.until, rows=rows)


def _groups(problems: Iterable[Problem]) -> tuple[ProblemGroup, ...]:
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.slug, []).append(problem)
    return tuple(
        ProblemGroup(slug=slug, docs=several[0].docs, problems=tuple(several))
        for slug, several in found.items()
    )
