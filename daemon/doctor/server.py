"""Settings of the server that decide what there is to see."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from collectors.settings import Setting
from pgvigil.problems import Problem
from pgvigil.units import format_size

# As Datadog and pganalyze ask for: with the default of 1 kB most statements that an ORM writes are cut off before FROM.
QUERY_BYTES = 4096  # the fix names it

_Check = Callable[[str, Setting], Problem | None]


def settings_problems(target: str, settings: Mapping[str, Setting]) -> Iterator[Problem]:
    """Of settings that the role can see; what is not there is not judged."""
    for name, check in _CHECKS.items():
        setting = settings.get(name)
        problem = None if setting is None else check(target, setting)
        if problem is not None:
            yield at_restart(problem, setting)


def at_restart(problem: Problem, setting: Setting | None) -> Problem:
    """The same, mended by the restart alone where a change of the setting already waits for one."""
    if setting is None or not setting.waits:
        return problem
    return replace(problem, fix=f"Restart the server: a change of {setting.name} waits for it.")


def _track_io_timing(target: str, setting: Setting) -> Problem | None:
    if setting.value != "off":
        return None
    return Problem(
        slug="track-io-timing-off",
        sentence=f"{target}: track_io_timing is off, so nobody can tell how much of a statement's time is"
        " reading and writing.",
        why="The time of block reads and writes stays 0, and a slow disk looks like a slow query. It costs two"
        " readings of the clock for each block; pg_test_timing tells what one costs on the server.",
        fix="ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();",
        target=target,
    )


def _track_activity_query_size(target: str, setting: Setting) -> Problem | None:
    size_bytes = int(setting.value)
    if size_bytes >= QUERY_BYTES:
        return None
    return Problem(
        slug="track-activity-query-size-small",
        sentence=f"{target}: track_activity_query_size is {format_size(size_bytes)}, so the texts of running"
        " statements are cut off there.",
        why="What a blocker or a long query is doing is shown as the server gives it. 4 kB hold"
        " nearly all statements, and cost that much shared memory for each connection.",
        fix="ALTER SYSTEM SET track_activity_query_size = '4kB'; -- takes effect when the server is restarted",
        target=target,
    )


def _compute_query_id(target: str, setting: Setting) -> Problem | None:
    if setting.value != "off":
        return None
    return Problem(
        slug="compute-query-id-off",
        sentence=f"{target}: compute_query_id is off, so statements have no id and pg_stat_statements counts none.",
        why="Without it there are no statement statistics, unless another library computes the ids, and a running"
        " session cannot be matched with its statement.",
        fix="ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();",
        target=target,
    )


def _track_activities(target: str, setting: Setting) -> Problem | None:
    if setting.value != "off":
        return None
    return Problem(
        slug="track-activities-off",
        sentence=f"{target}: track_activities is off, so the server does not tell what its sessions are doing.",
        why="State, statement and start of transaction of every session are missing.",
        fix="ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf();",
        target=target,
    )


def _track_counts(target: str, setting: Setting) -> Problem | None:
    if setting.value != "off":
        return None
    return Problem(
        slug="track-counts-off",
        sentence=f"{target}: track_counts is off, so autovacuum does not run and tables have no statistics of use.",
        why="Tables and indexes bloat until a vacuum against transaction id wraparound must be forced.",
        fix="ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
        target=target,
    )


_CHECKS: Mapping[str, _Check] = {
    "track_io_timing": _track_io_timing,
    "track_activity_query_size": _track_activity_query_size,
    "compute_query_id": _compute_query_id,
    "track_activities": _track_activities,
    "track_counts": _track_counts,
}
