"""What people must mend at a target so that everything can be read: each said once, and shown while it lasts."""

from collections.abc import Collection

import structlog

from daemon.recorder import Recorder, reading_problem
from pgvigil.model.facts import Facts
from pgvigil.problems import Problem
from pgvigil.sql.grants import grant_after
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.text import one_line

log = structlog.get_logger(__name__)


class Setup:
    """The set-up problems of one target."""

    def __init__(self, target: str, recorder: Recorder) -> None:
        self.target = target
        self._recorder = recorder
        self._missing: set[str] = set()

    def learn(self, facts: Facts) -> None:
        """What the connection shows of the role and the extensions; clears what is mended."""
        for extension in facts.extensions:
            self._recorder.problem(_about(extension), None)
        self._note("pg_monitor", not_pg_monitor(self.target, facts))

    def lacks(self, extension: str, collector: str) -> str:
        """No watched database has the extension, so that `collector` is not read; the sentence that says so."""
        problem = extension_missing(self.target, extension, collector)
        self._missing.add(extension)
        self._note(_about(extension), problem)
        return problem.sentence

    def needed(self, extensions: Collection[str]) -> None:
        """Only these are asked for from now on: that another one is missing matters no more."""
        for extension in self._missing - {*extensions}:
            self._missing.discard(extension)
            self._note(_about(extension), None)

    def denied(self, collector: str, database: str | None, message: str, role: str) -> None:
        """The role may not read what the collector reads: said until a reading succeeds."""
        problem = privilege_missing(self.target, collector, database, message, role)
        self._note(reading_problem(collector, database), problem)

    def read(self, collector: str, database: str | None) -> None:
        """A reading succeeded: it lacks no privilege."""
        self._note(reading_problem(collector, database), None)

    def _note(self, key: str, problem: Problem | None) -> None:
        if not self._recorder.problem(key, problem):
            return
        if problem is not None:
            log.warning(
                "setup_problem",
                target=self.target,
                slug=problem.slug,
                sentence=problem.sentence,
                fix=problem.fix,
            )
        self._recorder.publish()


def _about(extension: str) -> str:
    return f"extension {extension}"


def not_pg_monitor(target: str, facts: Facts) -> Problem | None:
    """None where the role sees everything."""
    if facts.monitor:
        return None
    role = quote_identifier(facts.role)
    return Problem(
        slug="not-pg-monitor",
        sentence=f"{target}: role {role} is not a member of pg_monitor,"
        " so sessions and statements of other roles are hidden",
        fix=f"GRANT pg_monitor TO {role}",
        target=target,
    )


def extension_missing(target: str, extension: str, collector: str) -> Problem:
    return Problem(
        slug="extension-missing",
        sentence=f"{target}: no watched database has the extension {extension}, so {collector} is not read",
        fix=f"add it to shared_preload_libraries if it needs that, then CREATE EXTENSION {extension} in one database",
        target=target,
    )


def privilege_missing(target: str, collector: str, database: str | None, message: str, role: str) -> Problem:
    where = "" if database is None else f" in database {one_line(database, 63)}"
    grant = grant_after(message, role) or "grant the role what the error names"
    return Problem(
        slug="privilege-missing",
        sentence=f"{target}: role {role} may not read what {collector} needs{where}: {message}",
        fix=f"{grant}; deploy/grants.sql has the least that pgvigil needs",
        target=target,
    )
