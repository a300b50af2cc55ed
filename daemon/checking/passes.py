"""The pass itself: several targets at a time, each on a thread of its own."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

from daemon.checking.look import Look, paced
from daemon.checking.peers import clusters
from daemon.checking.result import Checked, Dead, NotCovered
from daemon.checking.sessions import Sessions
from daemon.checking.verdict import Judging
from daemon.clock import Now, system_now
from daemon.following import Following
from daemon.lanes.attempt import attempt
from daemon.names import Names
from daemon.reading import home_extensions, scheduled, switched_off
from daemon.settings.sections import TargetSettings
from daemon.settings.settings import Settings
from daemon.statements import Statements, Unstored
from pgvigil.model.failure import Failure
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.limits import LIMITS, Limits
from pgvigil.postgres.names import relation_names
from pgvigil.postgres.session import connect


class Pass:
    """Opens at most as many threads as the configuration has for targets that connect (`spare_workers`)."""

    def __init__(
        self,
        settings: Settings,
        *,
        sample_s: float,
        now: Now = system_now,
        limits: Limits = LIMITS,
        wait: Callable[[float], object] | None = None,
        whole: bool = False,
    ) -> None:
        """With `whole` what tells only by its change is read as well where there is no second reading."""
        self._settings = settings
        self._sample_s = sample_s
        self._now = now
        self._limits = limits
        self._whole = whole
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait

    def over(self, targets: Sequence[TargetSettings]) -> list[Checked]:
        """What was found, in the order of `targets`. An interrupt ends the waiting; what is asked ends by its deadline."""
        return self._judged(self._all(targets))

    def dead_rules(self, targets: Sequence[TargetSettings]) -> list[tuple[Dead, ...] | Checked]:
        """Of each target the rules that cannot fire now; where nobody could look, what was found out instead."""
        looked = self._all(targets)
        peers = clusters(one for one in looked if isinstance(one, Judging))
        moment = self._now()
        return [
            one.judge(moment)
            if isinstance(one, Judging) and not one.look.up
            else one.dead(moment, peers.get(one.name, ()))
            if isinstance(one, Judging)
            else one
            for one in looked
        ]

    def _all(self, targets: Sequence[TargetSettings]) -> list[Judging | Checked]:
        workers = max(1, min(len(targets), self._settings.daemon.spare_workers))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="check")
        try:
            return list(pool.map(self._attempt, targets))
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _judged(self, looked: Sequence[Judging | Checked]) -> list[Checked]:
        """Not before all are read: some rules ask what the other servers of a cluster have seen."""
        peers = clusters(one for one in looked if isinstance(one, Judging))
        moment = self._now()
        return [
            one if isinstance(one, Checked) else one.judge(moment, peers.get(one.name, ())) for one in looked
        ]

    def _attempt(self, target: TargetSettings) -> Judging | Checked:
        looked = attempt(lambda: self._look(target), lane=target.name, job="check")
        if isinstance(looked, Failure):
            return Checked(name=target.name, up=None, not_covered=(NotCovered(reason=looked.message),))
        return looked

    def _look(self, target: TargetSettings) -> Judging:
        collectors = scheduled(self._settings, target.kind).values()
        sessions = Sessions(
            target.name,
            lambda database: connect(target.server, kind=target.kind, limits=self._limits, database=database),
            home_extensions(collectors),
        )
        statements = Statements(target.name, Unstored(), top_k=0, interval_s=0.0)
        following = Following(target.wants_database, target.databases)
        names = Names()
        with closing(sessions):
            look = Look(
                target.name,
                now=self._now,
                sessions=sessions,
                scheduled=paced(collectors, self._sample_s),
                following=following,
                statements=statements,
            )
            for name in switched_off(self._settings, target.kind):
                look.leave_out(None, name, "switched off in the configuration", chosen=True)
            look.take(self._sample_s, self._wait, whole=self._whole)
            rules = self._settings.bound_rules(target.name)
            judging = Judging(
                target.name,
                rules,
                look,
                names,
                statements,
                disk_size_bytes=target.disk_size_bytes,
                kind=target.kind,
            )
            judging.judge(self._now())  # the rules ask for the names and texts that they would show
            if look.up:
                self._learn(sessions, following.names, names, statements)
        return judging

    def _learn(
        self, sessions: Sessions, databases: Mapping[int, str], names: Names, statements: Statements
    ) -> None:
        """A name or text that cannot be had costs nothing else: the finding stands without it."""
        with suppress(ReadError):
            statements.fetch_texts(sessions.server(), self._now())
        for oid, relations in names.take_wanted().items():
            if oid in databases:
                with suppress(ReadError), sessions.visiting(databases[oid]) as session:
                    names.learn(oid, relation_names(session, relations))
