"""What is looked at: each check by its name, with the slugs of what it can find and the reading that it takes."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from daemon.doctor.target import TEXTS
from pgvigil.model.kind import TargetKind
from pgvigil.problems import Problem


class Check(NamedTuple):
    """`reads` is the collector without whose reading nothing is known; "" where a connection will do."""

    name: str
    reads: str
    slugs: frozenset[str]


def _check(name: str, reads: str, *slugs: str) -> Check:
    return Check(name, reads, frozenset(slugs))


OF_TARGET = (
    _check("connection limit", "settings", "connection-limit-small"),
    _check("pg_monitor", "", "not-pg-monitor"),
    _check("CONNECT on databases", "databases", "connect-missing"),
    _check(
        "privileges of readings",
        "",
        "privilege-missing",
        "not-offered-by-service",
        "functions-kept-by-service",
    ),
    _check("clock", "availability", "clock-skew"),
    _check("track_io_timing", "settings", "track-io-timing-off"),
    _check("track_activity_query_size", "settings", "track-activity-query-size-small"),
    _check("compute_query_id", "settings", "compute-query-id-off"),
    _check("track_activities", "settings", "track-activities-off"),
    _check("track_counts", "settings", "track-counts-off"),
    _check(
        "pg_stat_statements preloaded and created",
        "settings",
        "extension-not-preloaded",
        "extension-missing",
    ),
    _check("pg_stat_statements tracks", "statements", "statements-not-tracked"),
    _check("pg_stat_statements up to date", "settings", "extension-outdated"),
    _check("pg_stat_statements.max", "statements", "pg-stat-statements-max-small"),
    _check("texts of statements", TEXTS, "statement-texts-unreadable", "statement-texts-lost"),
)

OF_POOLER = (_check("privileges of readings", "", "privilege-missing"),)


class Missing(NamedTuple):
    """A reading that did not come: why, and whether that is no doubt about the rest."""

    why: str
    explained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One look at one thing. `why_not` is why it could not be taken; then nothing is known."""

    target: str | None
    check: str
    problems: tuple[Problem, ...] = ()
    why_not: str = ""
    explained: bool = False  # what kept it from being looked at is among the problems, or was asked for


def of_target(
    target: str,
    problems: Collection[Problem],
    missing: Mapping[str, Missing],
    kind: TargetKind = TargetKind.POSTGRES,
) -> Iterator[Checked]:
    """The checks of a target that answered. `missing` are readings that did not come.

    A problem that was found is told whatever was not read besides it.
    """
    for check in OF_TARGET if kind is TargetKind.POSTGRES else OF_POOLER:
        found = tuple(problem for problem in problems if problem.slug in check.slugs)
        unread = None if found else missing.get(check.reads)
        yield Checked(
            target=target,
            check=check.name,
            problems=found,
            why_not="" if unread is None else unread.why,
            explained=unread is not None and unread.explained,
        )
