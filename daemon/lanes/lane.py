"""A lane: one connection of one target, one job at a time."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from daemon.clock import Now
from daemon.lanes.attempt import attempt
from daemon.lanes.pool import Pool
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import Session

log = structlog.get_logger(__name__)

# These mean that no database of the target would answer, so that the others are not tried one by one.
TARGET_WIDE = frozenset(
    {
        FailureKind.REFUSED,
        FailureKind.DNS,
        FailureKind.TLS,
        FailureKind.SILENT,
        FailureKind.STARTING_UP,
        FailureKind.SHUTTING_DOWN,
        FailureKind.PROTOCOL,
    }
)

SLOW_S = 0.5  # an attempt to connect that failed no sooner costs a worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing to do with the lane's session. `key` is unique on the lane: a job is never queued twice.

    `run` raises ReadError when the server did not do as asked; `failed` is then told why. The one that is wanted
    soonest goes first: `within_s` after it was due, which is short for what tells whether the target is alive and for
    what is read often. None waits for ever, since what comes due later is wanted later.
    """

    key: str
    run: Callable[[Session], None]
    failed: Callable[[Failure], None]
    database: str | None = None
    within_s: float = 0.0


class Lane:
    """What the two kinds of lane share: what is due, and taking turns with a worker."""

    _at_a_time: int | None = None  # jobs of one turn; None is all that are due

    def __init__(self, name: str, now: Now) -> None:
        self.name = name
        self.missed: Counter[str] = Counter()  # ticks that came while the same job was still due or running
        self._now = now
        self._lock = threading.Lock()
        self._due: dict[str, tuple[float, Job]] = {}  # when it is wanted, by the monotonic clock
        self._running: set[str] = set()
        self._queued = False
        self._job_since_s: float | None = None
        self._closing = False
        self._working = False
        self._session: Session | None = None  # the worker's own; others may only interrupt it

    def due(self, job: Job, *, tick: bool = True, anew: bool = False) -> None:
        """Mark `job` due. A tick that finds it still due or running is counted as missed, never queued twice.

        With `anew` one that runs now is not enough: what it goes by has changed since it began.
        """
        with self._lock:
            if self._closing:
                return
            if job.key in self._due or (job.key in self._running and not anew):
                if tick:
                    self.missed[job.key] += 1
                return
            self._due[job.key] = self._now().mono_s + job.within_s, job
            queue = not self._queued
            self._queued = True
        if queue:
            self._pool().submit(self)

    def forget(self, database: str) -> None:
        """Drop what is due in a database that is no more."""
        with self._lock:
            self._due = {key: due for key, due in self._due.items() if due[1].database != database}

    def work(self) -> None:
        """Take a turn; called by a worker. Another one follows at once while nobody else waits for the worker."""
        again, pool = True, self._pool()
        while again:
            again = self._turn()
            if again and (pool.crowded or self._pool() is not pool):
                self._pool().submit(self)
                return

    def _turn(self) -> bool:
        """Whether more is due."""
        with self._lock:
            jobs = self._take(self._at_a_time)
            self._running = {job.key for job in jobs}
            self._working = True
        try:
            self._serve(jobs)
        except BaseException:
            if self._rest():
                self._pool().submit(self)
            raise
        return self._rest()

    def _rest(self) -> bool:
        """After a turn; whether more is due."""
        self._job_since_s = None
        with self._lock:
            self._running.clear()
            self._working = False
            again = bool(self._due) and not self._closing
            self._queued = again
            if self._closing:
                self._drop()
            return again

    @property
    def busy_s(self) -> float:
        """How long the job at hand has been running; far past every deadline means that the lane is stuck."""
        since = self._job_since_s
        return 0.0 if since is None else self._now().mono_s - since

    def close(self) -> None:
        """No more work. The connection goes now, or with the turn that a worker is in."""
        with self._lock:
            self._closing = True
            self._due.clear()
            if not self._working:
                self._drop()

    @property
    def ended(self) -> bool:
        """After `close`: no worker is here any more, and nothing is connected."""
        return self._closing and not self._working

    def interrupt(self) -> None:
        """End the read that a worker is in: it would outlive our time to stop."""
        session = self._session
        if session is not None:
            session.interrupt()

    def _drop(self) -> None:
        if self._session is not None:
            leave = self._session.close if self._closing else self._session.leave
            leave()
            self._session = None

    def _take(self, most: int | None = None) -> list[Job]:
        """What is due, at most so many, the soonest wanted first; it is due no more. The lock is held."""
        soonest = sorted(self._due.items(), key=lambda item: item[1][0])[:most]
        for key, _ in soonest:
            del self._due[key]
        return [job for _, (_, job) in soonest]

    def _pool(self) -> Pool:
        raise NotImplementedError

    def _serve(self, jobs: Sequence[Job]) -> None:
        raise NotImplementedError

    def _attempt(self, job: Job, session: Session) -> Failure | None:
        """Run one job; what failed, or None when all went well. The caller tells the job."""
        self._job_since_s = self._now().mono_s
        return attempt(lambda: job.run(session), lane=self.name, job=job.key)


class ServerLane(Lane):
    """The persistent connection: activity, lock waits, statements.

    One job a turn, so that what is read every second does not wait for all that came due with it; a server far away
    takes half a second for each.
    """

    _at_a_time = 1

    def __init__(
        self,
        name: str,
        now: Now,
        *,
        connects: Pool,
        retries: Pool,
        polls: Pool,
        connect: Callable[[], Session],
        up: Callable[[Session], None],
        down: Callable[[Failure], None],
    ) -> None:
        super().__init__(name, now)
        self._connects = connects
        self._retries = retries
        self._polls = polls
        self._connect = connect
        self._up = up
        self._down = down
        self._stale = False
        self._slow = False  # the last attempt to connect failed, and held its worker before it did

    @property
    def pool(self) -> Pool:
        """Who serves the target now. One that made a worker wait does not keep others from connecting."""
        if self._session is not None:
            return self._polls
        return self._retries if self._slow else self._connects

    def reconnect(self) -> None:
        """Connect anew before the next job, because the place to connect to has changed."""
        self._stale = True

    def _pool(self) -> Pool:
        return self.pool

    def _serve(self, jobs: Sequence[Job]) -> None:
        for job in jobs:  # one, or none when the lane was closed before a worker came
            self._serve_one(job)

    def _serve_one(self, job: Job) -> None:
        fresh = self._session is None
        while True:
            session = self._ready()
            if isinstance(session, Failure):
                self._lost(session, job)
                return
            lost = self._run(session, job)
            if lost is None:
                return
            self._drop()
            if self._closing:
                return
            if fresh or lost.kind is FailureKind.SILENT:
                self._lost(lost, job)
                return
            # A connection can end without the server having gone: ended by an administrator, idle too long.
            # One that was just made and breaks as well is another matter.
            fresh = True

    def _run(self, session: Session, job: Job) -> Failure | None:
        """The failure that broke the connection; any other is told to the job."""
        failure = self._attempt(job, session)
        if session.broken:
            return failure or Failure(FailureKind.LOST, "the connection was lost")
        if failure is not None:
            job.failed(failure)
            if failure.kind is FailureKind.UNDEFINED:
                self._rediscover(session)
        return None

    def _rediscover(self, session: Session) -> None:
        """The server is not as the facts said (an extension was updated or dropped): look again."""
        try:
            session.rediscover()
        except ReadError:
            self._drop()
        else:
            self._up(session)

    def _ready(self) -> Session | Failure:
        if self._stale:
            # First of all: a move that is asked for from here on holds for the next turn.
            self._stale = False
            self._drop()
        if self._session is None:
            began_s = self._job_since_s = self._now().mono_s
            connected = attempt(self._connect, lane=self.name, job="connect")
            if isinstance(connected, Failure):
                self._slow = self._now().mono_s - began_s > SLOW_S
                return connected
            self._session = connected
            self._up(self._session)
        return self._session

    def _lost(self, failure: Failure, job: Job) -> None:
        """None of what else is due can be read either: it is not tried one by one."""
        if self._closing:  # nobody stays to see whether it comes back
            return
        self._down(failure)
        with self._lock:
            others = self._take()
        for each in (job, *others):
            each.failed(failure)


class DatabasesLane(Lane):
    """One connection at a time to one database after another; open only while it reads."""

    def __init__(self, name: str, now: Now, *, pool: Pool, connect: Callable[[str], Session]) -> None:
        super().__init__(name, now)
        self._visits = pool
        self._connect = connect

    def _pool(self) -> Pool:
        return self._visits

    def _serve(self, jobs: Sequence[Job]) -> None:
        by_database: dict[str, list[Job]] = {}
        for job in jobs:
            by_database.setdefault(job.database or "", []).append(job)
        wide: Failure | None = None
        for database, wanted in by_database.items():
            failure = wide or self._visit(database, wanted)
            if self._closing:  # nobody stays to see what the rest of them say
                return
            if failure is not None:
                wide = failure if failure.kind in TARGET_WIDE else None
                for job in wanted:
                    job.failed(failure)

    def _visit(self, database: str, jobs: list[Job]) -> Failure | None:
        """Why the database could not be read (on), or None; `jobs` keeps those that have not been told."""
        self._job_since_s = self._now().mono_s
        connected = attempt(lambda: self._connect(database), lane=self.name, job=f"connect {database}")
        if isinstance(connected, Failure):
            return connected
        session = self._session = connected
        try:
            while jobs:
                failure = self._attempt(jobs[0], session)
                if failure is not None and session.broken:
                    return failure
                job = jobs.pop(0)
                if failure is not None:
                    job.failed(failure)
            return None
        finally:
            self._drop()
