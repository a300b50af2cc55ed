"""One look at the set-up: every target, every sink and pgvigil's own, side by side. Opens no store, sends nothing."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import psutil

from daemon.checking.look import Look, Place, paced
from daemon.checking.sessions import Sessions
from daemon.clock import Now, system_now
from daemon.doctor.checks import Checked, Missing, of_target
from daemon.doctor.store import store_problems
from daemon.doctor.target import TEXTS
from daemon.fleet import rules_of
from daemon.following import Following
from daemon.http.server import bind
from daemon.lanes.attempt import attempt
from daemon.reading import home_extensions, scheduled, switched_off
from daemon.settings.sections import TargetSettings
from daemon.settings.settings import BoundSink, Settings
from daemon.sinks import built
from daemon.statements import FEED, TEXTS_TIMEOUT_S, Statements, Unstored
from pgvigil.model.delivery import DeliveryError
from pgvigil.model.failure import Failure
from pgvigil.model.kind import TargetKind
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.limits import LIMITS, Limits
from pgvigil.postgres.session import connect
from pgvigil.problems import Problem, SetupError
from pgvigil.store.location import last_holder, obstacles, path_of
from queries.texts import COUNT

# With one of these the daemon does not start.
BLOCKING = frozenset({"listen-failed", "sink-not-built", "sink-secret-file", "store-unwritable", "store-url"})

Job = tuple[str | None, Callable[[], list[Checked]]]  # whose it is


class Examination:
    """Takes as many threads as the configuration has for targets that connect (`spare_workers`)."""

    def __init__(self, settings: Settings, *, now: Now = system_now, limits: Limits = LIMITS) -> None:
        self._settings = settings
        self._now = now
        self._limits = limits

    def over(self, targets: Sequence[TargetSettings], *, own: bool) -> list[Checked]:
        """All checks: pgvigil's `own` set-up, then the targets in their order. Ends by the deadlines of what it asks."""
        jobs: list[Job] = []
        if own:
            jobs = [(None, self._own)]
            jobs += [(None, partial(_sink, name, bound)) for name, bound in self._settings.sinks.items()]
        jobs += [(target.name, partial(self._target, target)) for target in targets]
        pool = ThreadPoolExecutor(max(1, min(len(jobs), self._settings.daemon.spare_workers)))
        try:
            return [checked for found in pool.map(_done, jobs) for checked in found]
        finally:  # also at an interrupt: what is asked ends by its deadline
            pool.shutdown(wait=False, cancel_futures=True)

    # --- targets ----------------------------------------------------------------------------------------

    def _target(self, target: TargetSettings) -> list[Checked]:
        collectors = scheduled(self._settings, target.kind).values()
        off = switched_off(self._settings, target.kind)
        if FEED in off:
            off.add(TEXTS)
        sessions = Sessions(
            target.name,
            lambda database: connect(target.server, kind=target.kind, limits=self._limits, database=database),
            home_extensions(collectors),
        )
        look = Look(
            target.name,
            now=self._now,
            role=target.dsn.user,
            sessions=sessions,
            scheduled=paced(collectors, 0.0),
            following=Following(target.wants_database, target.databases),
            statements=Statements(target.name, Unstored(), top_k=0, interval_s=0.0),
        )
        with closing(sessions):
            for name in off:
                look.leave_out(None, name, "switched off in the configuration", chosen=True)
            look.take(0.0, lambda _seconds: None, whole=True)
            if look.up and target.kind is TargetKind.POSTGRES and FEED not in off:
                _count_texts(look, sessions)
        return list(self._told(target, look))

    def _told(self, asked: TargetSettings, look: Look) -> Iterator[Checked]:
        target = asked.name
        problems = tuple(look.diagnosis.problems(rules_of(self._settings, target)).values())
        missing = _missing(look)
        lost = missing.pop((None, None), None)
        if lost is not None:
            yield Checked(target=target, check="connection", problems=problems, why_not=lost.why)
            return
        yield Checked(target=target, check="connection")
        of_server = {collector: one for (database, collector), one in missing.items() if database is None}
        read = {name or "": one for name, one in of_server.items()}
        yield from of_target(target, problems, read, asked.kind)
        for (database, collector), one in missing.items():
            if database is not None:
                check = f"{collector or 'everything'} in database {database}"
                yield Checked(target=target, check=check, why_not=one.why, explained=one.explained)

    # --- pgvigil itself ---------------------------------------------------------------------------------

    def _own(self) -> list[Checked]:
        found = self._settings.problems
        return [
            Checked(target=None, check="configuration", problems=found),
            Checked(target=None, check="store", problems=self._store()),
            Checked(target=None, check="listening address", problems=self._listening()),
        ]

    def _store(self) -> tuple[Problem, ...]:
        try:
            path = path_of(self._settings.daemon.store.reveal())
        except SetupError as error:
            return error.problems
        found = store_problems(path)
        return found if self._runs() else (*obstacles(path), *found)

    def _listening(self) -> tuple[Problem, ...]:
        """Free, or in use by the pgvigil that this is the configuration of."""
        try:
            bind(str(self._settings.daemon.listen)).close()
        except SetupError as error:
            return () if self._runs() else error.problems
        return ()

    def _runs(self) -> bool:
        try:
            holder = last_holder(path_of(self._settings.daemon.store.reveal()))
        except SetupError:
            return False
        return holder is not None and psutil.pid_exists(holder)


def _done(job: Job) -> list[Checked]:
    """The boundary: a defect in one look is logged, and the others go on."""
    target, look = job
    found = attempt(look, lane=target or "pgvigil", job="doctor")
    if isinstance(found, Failure):
        return [Checked(target=target, check="everything", why_not=found.message)]
    return found


def _missing(look: Look) -> dict[Place, Missing]:
    """What was not read, by database and collector."""
    return {
        place: Missing(one.reason, one.chosen or look.diagnosis.explains(one.collector, one.database))
        for place, one in look.not_covered.items()
    }


def _count_texts(look: Look, sessions: Sessions) -> None:
    """Once, and only here: it costs the server a read of its whole text file."""
    try:
        session = sessions.server()
        if COUNT.extension not in session.facts.extensions:
            look.leave_out(None, TEXTS, f"no watched database has the extension {COUNT.extension}")
            return
        with session.within(TEXTS_TIMEOUT_S):
            (count,) = session.rows(COUNT)
    except ReadError as error:
        look.diagnosis.texts(error.failure)
        look.leave_out(None, TEXTS, error.failure.message)
    else:
        look.diagnosis.texts_counted(count.entries, count.texts)


def _sink(name: str, bound: BoundSink) -> list[Checked]:
    check = f"sink {name}"
    try:
        sink = built(name, lambda: bound.kind.made(name, bound.params, "", system_now))
    except SetupError as error:
        return [Checked(target=None, check=check, problems=error.problems)]
    with closing(sink):
        try:
            problems = sink.check()
        except DeliveryError as error:
            return [Checked(target=None, check=check, why_not=str(error))]
    return [Checked(target=None, check=check, problems=problems)]
