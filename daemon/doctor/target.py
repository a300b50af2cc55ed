"""The set-up problems of one target, gathered from what was read of it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from alerts.bound import BoundRule
from collectors.settings import SettingsReading
from daemon.doctor.clocks import clock_skew
from daemon.doctor.privileges import (
    closed_database,
    connect_missing,
    connection_limit_small,
    not_pg_monitor,
    privilege_missing,
    refused,
)
from daemon.doctor.rules import blind_rules
from daemon.doctor.server import settings_problems
from daemon.doctor.services import kept_functions, not_offered, out_of_reach
from daemon.doctor.statements import (
    Churn,
    extension_missing,
    extension_problems,
    max_small,
    next_steps,
    texts_lost,
    texts_unreadable,
)
from daemon.statements import FEED
from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector
from pgvigil.problems import Problem
from pgvigil.statements import StatementsReading

Place = tuple[str, str | None]  # collector, database
TEXTS = "texts"  # of the statements, which are read apart


class Diagnosis:
    """For one thread at a time. What was never read makes no problem: nothing is known of it."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._facts: Facts | None = None
        self._settings: SettingsReading | None = None
        self._churn = Churn()
        self._evictions_per_h: float | None = None
        self._found: dict[str, tuple[Problem, ...]] = {}  # by what shows them
        self._missing: dict[str, str] = {}  # extension -> the collector that needs it
        self._denied: dict[Place, Problem] = {}
        self._shown: dict[Place, tuple[Problem, ...]] = {}  # what readings say of themselves
        self._closed: frozenset[str] = frozenset()  # databases

    def problems(self, rules: Mapping[str, BoundRule]) -> dict[str, Problem]:
        """All that is known now, under keys that stay while the problem does. `rules` are those in force."""
        plain = next_steps(dict(self._plain()), self._settings)
        lacking = zip(self._missing.values(), self._lacking(), strict=True)
        unread = {feed: problem for feed, problem in lacking if problem in plain.values()}
        unread |= {feed: problem for (feed, database), problem in self._denied.items() if not database}
        blind = blind_rules(rules, unread, plain.values())
        return {
            key: replace(problem, why=f"{problem.why} {blind[problem]}".lstrip())
            if problem in blind
            else problem
            for key, problem in plain.items()
        }

    @property
    def blinding(self) -> tuple[Problem, ...]:
        """Those that keep something from being read."""
        role = self._found.get("role", ())
        return (*role, *self._lacking(), *self._found.get("databases", ()), *self._denied.values())

    def explains(self, collector: str | None, database: str | None) -> bool:
        """Whether that this was not read is itself one of the problems."""
        if database in self._closed or (collector, database) in self._denied:
            return True
        if database is not None:
            return False
        if collector in (FEED, TEXTS):  # both stand on the extension
            unloaded = any(one.slug == "extension-not-preloaded" for one in self._found.get("settings", ()))
            return unloaded or FEED in self._missing.values() or (FEED, None) in self._denied
        return collector in self._missing.values()

    def out_of_reach(self, failure: Failure) -> bool:
        """Whether nobody can make that reading work at this server."""
        return out_of_reach(failure, self._facts)

    def _plain(self) -> Iterator[tuple[str, Problem]]:
        for source, found in self._found.items():
            yield from ((f"{source} {problem.slug} {index}", problem) for index, problem in enumerate(found))
        yield from zip((f"extension {name}" for name in self._missing), self._lacking(), strict=True)
        yield from ((f"reading {place}", problem) for place, problem in self._denied.items())
        for place, found in self._shown.items():
            yield from ((f"{place} {problem.slug} {index}", problem) for index, problem in enumerate(found))
        small = self._small()
        if small is not None:
            yield "churn", small

    def _lacking(self) -> list[Problem]:
        return [
            extension_missing(self._target, extension, collector, self._settings)
            for extension, collector in self._missing.items()
        ]

    def _small(self) -> Problem | None:
        if self._settings is None or self._evictions_per_h is None:
            return None
        return max_small(self._target, self._settings, self._evictions_per_h)

    # --- what is learnt ---------------------------------------------------------------------------------

    def learn(self, facts: Facts) -> None:
        """What a connection shows of the role and of the extensions."""
        self._facts = facts
        self._put("connection")
        for extension in facts.extensions:
            self._missing.pop(extension, None)
        self._put("role", not_pg_monitor(self._target, facts))
        self._put("service", kept_functions(self._target, facts))

    def refused(self, failure: Failure, role: str = "") -> None:
        """No connection could be had. `role` is who we are, where nothing was ever read."""
        known = role if self._facts is None else self._facts.role
        self._put("connection", refused(self._target, failure, known))

    def lacks(self, extension: str, collector: str) -> str:
        """No watched database has the extension; the sentence that says so."""
        self._missing[extension] = collector
        return extension_missing(self._target, extension, collector).sentence

    def needed(self, extensions: Collection[str]) -> None:
        """Only these are asked for from now on."""
        self._missing = {name: feed for name, feed in self._missing.items() if name in extensions}

    def denied(self, collector: str, database: str | None, failure: Failure) -> None:
        """The role may not read what the collector reads, or nobody may."""
        facts, message = self._facts, failure.message
        closed = closed_database(message)
        if out_of_reach(failure, facts):
            service = None if facts is None else facts.service
            self._denied[collector, database] = not_offered(self._target, collector, message, service)
        elif closed is not None:
            self.closed_databases({*self._closed, closed})
        elif facts is not None:
            schemas = {name: schema for name, (schema, _) in facts.extensions.items()}
            self._denied[collector, database] = privilege_missing(
                self._target, collector, database, message, facts.role, schemas
            )

    def keep(self, expected: Collection[Place]) -> None:
        """Other readings are no longer due."""
        self._denied = {place: problem for place, problem in self._denied.items() if place in expected}
        self._shown = {place: found for place, found in self._shown.items() if place in expected}

    def read(self, snapshot: Snapshot[Any], collector: Collector[Any]) -> bool:
        """A reading succeeded: it lacks no privilege, and shows what it shows. Whether that can matter: most readings
        show nothing of the set-up.
        """
        place = snapshot.collector, snapshot.database
        was_denied = self._denied.pop(place, None) is not None
        if collector.problems is not None and self._facts is not None:
            found = collector.problems(snapshot, self._facts)
            self._shown[place] = tuple(replace(each, target=self._target) for each in found)
        shows = self._shows.get(snapshot.collector)
        if shows is not None:
            shows(self, snapshot)
        return was_denied or shows is not None or collector.problems is not None

    def closed_databases(self, names: Collection[str]) -> None:
        """To these the role may not connect."""
        self._closed = frozenset(names)
        role = "" if self._facts is None else self._facts.role
        self._put("databases", *(connect_missing(self._target, name, role) for name in sorted(names)))

    def texts(self, failure: Failure | None) -> None:
        """How the last reading of texts ended."""
        self._put("texts", None if failure is None else texts_unreadable(self._target, failure))

    def paced(self, slow: Collection[Problem]) -> None:
        """Collectors that cost too much for their interval."""
        self._put("pace", *slow)

    def texts_counted(self, entries: int, texts: int) -> None:
        """So many entries of the statistics, and so many of them with a text."""
        self._put("text file", texts_lost(self._target, entries, texts))

    def _availability(self, snapshot: Snapshot[Any]) -> None:
        self._put("clock", clock_skew(self._target, snapshot))

    def _server(self, snapshot: Snapshot[SettingsReading]) -> None:
        reading = self._settings = snapshot.rows
        self._put(
            "settings",
            connection_limit_small(self._target, reading.role),
            *settings_problems(self._target, reading.settings),
            *extension_problems(self._target, reading),
        )

    def _statements(self, snapshot: Snapshot[StatementsReading]) -> None:
        self._evictions_per_h = self._churn.per_h(snapshot.rows.closed)

    _shows: Mapping[str, Callable[["Diagnosis", Snapshot[Any]], None]] = {
        "availability": _availability,
        "settings": _server,
        "statements": _statements,
    }

    def _put(self, source: str, *problems: Problem | None) -> None:
        self._found[source] = tuple(problem for problem in problems if problem is not None)
