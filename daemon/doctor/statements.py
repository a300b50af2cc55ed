"""pg_stat_statements: installed, loaded, of the right version, large enough, and readable."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from collectors.settings import SettingsReading
from daemon.doctor.server import at_restart
from pgvigil.model.failure import Failure
from pgvigil.problems import Problem
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.statements import StatementsInfo

EXTENSION = "pg_stat_statements"
MAX_SETTING = "pg_stat_statements.max"
_TRACK = "pg_stat_statements.track"
_UNLOADED, _MISSING = "extension-not-preloaded", "extension-missing"

# pg_stat_statements.c, entry_dealloc: USAGE_DEALLOC_PERCENT 5, and at least 10 entries. It takes those that were
# used least, so one an hour means that a statement which runs once an hour or so is forgotten between two runs.
EVICTED_SHARE, EVICTED_LEAST = 0.05, 10
TOO_OFTEN_PER_H = 1.0
DEFAULT_MAX = 5_000
MOST_MAX = 50_000  # beyond it each reading of the view costs the server more than what it tells is worth
WINDOW_S = 3600.0
LEAST_WINDOW_S = 600.0


def preloads(setting: str | None) -> str:
    """The value to give shared_preload_libraries, whose present one is `setting` (None: it is not to be seen)."""
    others = [] if setting is None else [name.strip() for name in setting.split(",") if name.strip()]
    return ", ".join(f"'{name}'" for name in (*others, EXTENSION))


def extension_missing(
    target: str, extension: str, collector: str, reading: SettingsReading | None = None
) -> Problem:
    """No watched database has it. `reading` decides how far the way to it is."""
    name = quote_identifier(extension)
    loaded = reading is None or extension != EXTENSION or MAX_SETTING in reading.settings
    offered = reading is None or extension != EXTENSION or extension in reading.extensions
    return Problem(
        slug="extension-missing",
        sentence=f"{target}: no watched database has the extension {extension}, so {collector} is not read.",
        why="One database that pgvigil watches is enough: its view shows the statements of all of them.",
        fix=f"CREATE EXTENSION {name}; -- in one watched database"
        if loaded
        else f"CREATE EXTENSION {name}; -- in one watched database, once the server was restarted with it, see extension-not-preloaded"
        if offered
        else f"Install the server's contrib package, which has {name}; preload it, and create it in one database.",
        target=target,
    )


def extension_problems(target: str, reading: SettingsReading) -> Iterator[Problem]:
    """Of the library and the version; that no database has the extension is known only after a look at all."""
    settings, extension = reading.settings, reading.extensions.get(EXTENSION)
    if MAX_SETTING not in settings:
        yield _not_preloaded(target, reading)
    elif settings[_TRACK].value == "none":
        yield _track_none(target)
    if extension is not None and extension.installed not in (None, extension.offered):
        yield _outdated(target, str(extension.installed), extension.offered)


def next_steps(problems: Mapping[str, Problem], reading: SettingsReading | None) -> dict[str, Problem]:
    """Where library and extension both are missing, only what is to be done first; the rest as it is.

    A server does not start with a library that is not installed: then that comes first.
    """
    slugs = {problem.slug for problem in problems.values()}
    if reading is None or not slugs >= {_UNLOADED, _MISSING}:
        return dict(problems)
    if EXTENSION not in reading.extensions:
        return {key: problem for key, problem in problems.items() if problem.slug != _UNLOADED}
    then = f"Once the server has it: CREATE EXTENSION {EXTENSION}; in one watched database, since none has it yet."
    return {
        key: replace(problem, why=f"{problem.why} {then}") if problem.slug == _UNLOADED else problem
        for key, problem in problems.items()
        if problem.slug != _MISSING
    }


def _not_preloaded(target: str, reading: SettingsReading) -> Problem:
    setting = reading.settings.get("shared_preload_libraries")
    value = preloads(None if setting is None else setting.value)
    problem = Problem(
        slug="extension-not-preloaded",
        sentence=f"{target}: {EXTENSION} is not in shared_preload_libraries, so no statement is counted.",
        why="It needs shared memory, which a server sets aside at its start only. Without it there are no slow"
        " statements, no top list and no texts.",
        fix=f"ALTER SYSTEM SET shared_preload_libraries = {value}; -- takes effect when the server is restarted",
        target=target,
    )
    return at_restart(problem, setting)


def _track_none(target: str) -> Problem:
    return Problem(
        slug="statements-not-tracked",
        sentence=f"{target}: pg_stat_statements.track is none, so no statement is counted.",
        why="The view stays as it was when it was switched off.",
        fix="ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();",
        target=target,
    )


def _outdated(target: str, installed: str, offered: str) -> Problem:
    return Problem(
        slug="extension-outdated",
        sentence=f"{target}: the extension {EXTENSION} is of version {installed}, and the server offers {offered}.",
        why="An upgrade of the server leaves extensions as they were: columns that newer versions have (top level,"
        " WAL, since when an entry counts) are missing, and differences are less certain.",
        fix=f"ALTER EXTENSION {EXTENSION} UPDATE;",
        target=target,
    )


# --- too small for the churn ------------------------------------------------------------------------------


class Churn:
    """How often entries are evicted. For one thread: keeps the readings of the last hour."""

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque()
        self._since: datetime | None = None

    def per_h(self, info: StatementsInfo) -> float | None:
        """Evictions an hour: of the last hour where there are readings of it, else since the statistics began.

        None where the server does not tell (before PostgreSQL 14).
        """
        if info.dealloc is None or info.stats_reset is None:
            return None
        if info.stats_reset != self._since or (self._seen and info.dealloc < self._seen[-1][1]):
            self._seen.clear()
        self._since = info.stats_reset
        self._seen.append((info.read_at, info.dealloc))
        while (info.read_at - self._seen[0][0]).total_seconds() > WINDOW_S:
            self._seen.popleft()
        began, before = self._seen[0]
        if (info.read_at - began).total_seconds() >= LEAST_WINDOW_S:
            return _rate(info.dealloc - before, began, info.read_at, LEAST_WINDOW_S)
        return _rate(info.dealloc, info.stats_reset, info.read_at, WINDOW_S)


def _rate(evictions: int, since: datetime, until: datetime, least_s: float) -> float:
    """Per hour; a shorter time than `least_s` is no ground for a forecast, and counts as that."""
    return evictions * 3600.0 / max((until - since).total_seconds(), least_s)


class Room(NamedTuple):
    """What one setting of pg_stat_statements.max means at a rate of evictions."""

    evicted_per_h: float
    recommended: int | None  # None: no size would do


def room(most: int, evictions_per_h: float) -> Room:
    """As much more as is evicted in an hour, and at least twice as much."""
    evicted = evictions_per_h * max(EVICTED_LEAST, most * EVICTED_SHARE)
    if most >= MOST_MAX:
        return Room(evicted, None)
    wanted = max(2 * most, most + evicted, DEFAULT_MAX)
    return Room(evicted, min(MOST_MAX, 1000 * -(-int(wanted) // 1000)))


def max_small(target: str, reading: SettingsReading, evictions_per_h: float) -> Problem | None:
    setting = reading.settings.get(MAX_SETTING)
    if setting is None or evictions_per_h < TOO_OFTEN_PER_H:
        return None
    most = int(setting.value)
    evicted, recommended = room(most, evictions_per_h)
    problem = Problem(
        slug="pg-stat-statements-max-small",
        sentence=f"{target}: pg_stat_statements.max is {most}, and {_count(evicted)} entries an hour are evicted for"
        " want of room.",
        why="An evicted entry loses its counters: statements that run rarely are never seen, and the top list and"
        " slow_query miss their time. Where no size helps, the application writes literals, lists of changing length"
        " or new table names into its statements.",
        fix=f"ALTER SYSTEM SET pg_stat_statements.max = {recommended}; -- takes effect when the server is restarted"
        if recommended
        else "Have the application use parameters: SELECT left(query, 60), count(*) FROM pg_stat_statements"
        " GROUP BY 1 ORDER BY 2 DESC LIMIT 10;",
        target=target,
    )
    return at_restart(problem, setting)


def _count(entries: float) -> str:
    """To two digits: the figure moves with each reading, and its size is all that matters."""
    return f"{float(f'{entries:.2g}'):,.0f}"


# --- texts ------------------------------------------------------------------------------------------------


def texts_unreadable(target: str, failure: Failure) -> Problem | None:
    """For a failure to read the texts that reading again will not mend."""
    state = failure.sqlstate or ""
    if not state.startswith("22"):
        return None
    foreign = state == "22P05"
    return Problem(
        slug="statement-texts-unreadable",
        sentence=f"{target}: the texts in pg_stat_statements cannot be read: {failure.message}.",
        why="One text that cannot be put into the encoding of the database that asks hides the texts of all"
        " statements; figures go on, and are shown by their query ids.",
        fix="Name a database with the encoding UTF8 as dbname in the dsn, and CREATE EXTENSION pg_stat_statements;"
        if foreign
        else "SELECT pg_stat_statements_reset();",
        target=target,
    )


def texts_lost(target: str, entries: int, texts: int) -> Problem | None:
    """For a text file that the server has lost or cannot hold: then its entries have no text."""
    if texts >= entries / 2:
        return None
    return Problem(
        slug="statement-texts-lost",
        sentence=f"{target}: {entries - texts} of {entries} entries of pg_stat_statements have no text.",
        why="The server keeps texts in one file, and drops them all where it cannot read that file or has no memory"
        " for it; the server's log says which.",
        fix="SELECT pg_stat_statements_reset();",
        target=target,
    )
