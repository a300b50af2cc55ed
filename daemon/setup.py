"""What people must mend, while the daemon runs: each said once, shown while it lasts, cleared when mended."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import structlog

from alerts.bound import BoundRule
from daemon.board import Board
from daemon.doctor.target import Diagnosis
from daemon.recorder import Recorder
from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector
from pgvigil.problems import Problem

log = structlog.get_logger(__name__)


class Setup:
    """The set-up problems of one target. Thread-safe: its lanes report here at once."""

    def __init__(
        self, target: str, recorder: Recorder, rules: Callable[[], Mapping[str, BoundRule]] = dict
    ) -> None:
        self.target = target
        self._recorder = recorder
        self._rules = rules
        self._diagnosis = Diagnosis(target)
        self._lock = threading.Lock()
        self._told: dict[str, Problem] = {}

    def learn(self, facts: Facts) -> None:
        """What the connection shows of the role and the extensions; clears what is mended."""
        with self._lock:
            self._diagnosis.learn(facts)
            self._tell()

    def refused(self, failure: Failure) -> None:
        """No connection could be had."""
        with self._lock:
            self._diagnosis.refused(failure)
            self._tell()

    def lacks(self, extension: str, collector: str) -> str:
        """No watched database has the extension, so that `collector` is not read; the sentence that says so."""
        with self._lock:
            sentence = self._diagnosis.lacks(extension, collector)
            self._tell()
        return sentence

    def needed(self, extensions: Collection[str]) -> None:
        """Only these are asked for from now on: that another one is missing matters no more."""
        with self._lock:
            self._diagnosis.needed(extensions)
            self._tell()

    def denied(self, collector: str, database: str | None, failure: Failure) -> None:
        """The role may not read what the collector reads: said until a reading succeeds."""
        with self._lock:
            self._diagnosis.denied(collector, database, failure)
            self._tell()

    def read(self, snapshot: Snapshot[Any], collector: Collector[Any]) -> None:
        """A reading succeeded: it lacks no privilege, and may show what people should change."""
        with self._lock:
            if self._diagnosis.read(snapshot, collector):
                self._tell()

    def closed_databases(self, names: Collection[str]) -> None:
        """The role may not connect to these."""
        with self._lock:
            self._diagnosis.closed_databases(names)
            self._tell()

    def texts(self, failure: Failure | None) -> None:
        """How the last reading of texts ended."""
        with self._lock:
            self._diagnosis.texts(failure)
            self._tell()

    def paced(self, slow: Collection[Problem]) -> None:
        """Collectors that are read more rarely for good, because they cost too much."""
        with self._lock:
            self._diagnosis.paced(slow)
            self._tell()

    def _tell(self) -> None:
        self._diagnosis.keep(self._recorder.expected)
        problems = self._diagnosis.problems(self._rules())
        if problems == self._told:
            return
        for key in self._told.keys() - problems.keys():
            self._recorder.problem(key, None)
        for key, problem in problems.items():
            news = key not in self._told or self._told[key].slug != problem.slug
            if self._recorder.problem(key, problem) and news:  # figures that move are no news
                say(problem)
        self._told = problems
        self._recorder.publish()


class OwnSetup:
    """The problems of pgvigil's own set-up, by who sees them: each source answers for all of its own."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._noted: dict[str, Mapping[str, Problem]] = {}

    def note(self, source: str, problems: Iterable[Problem]) -> None:
        """These and no others are what `source` sees now."""
        found = {f"{source} {problem.slug} {problem.sentence}": problem for problem in problems}
        with self._lock:
            for key in self._noted.get(source, {}).keys() - found.keys():
                self._board.note(key, None)
            for key, problem in found.items():
                if self._board.note(key, problem):
                    say(problem)
            self._noted[source] = found


def say(problem: Problem) -> None:
    """One line of the log."""
    about = {} if problem.target is None else {"target": problem.target}
    log.warning("setup_problem", **about, slug=problem.slug, sentence=problem.sentence, fix=problem.fix)
