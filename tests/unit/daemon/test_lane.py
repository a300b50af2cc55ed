"""A lane: one job at a time, nothing queued twice, and every job hears what became of it."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from daemon.clock import system_now
from daemon.lanes.lane import DatabasesLane, Job, ServerLane
from daemon.lanes.pool import Pool
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import Session
from tests.support.polling import poll

LOST = Failure(FailureKind.LOST, "the server closed the connection")
REFUSED = Failure(FailureKind.REFUSED, "connection refused")
TIMEOUT = Failure(FailureKind.TIMEOUT, "statement timeout")
UNDEFINED = Failure(FailureKind.UNDEFINED, "no such column")


@dataclass
class StubSession:
    """Only what a lane itself uses of a session."""

    database: str = "postgres"
    broken: bool = False
    closed: bool = False
    looked: int = 0

    def close(self) -> None:
        self.closed = True

    def leave(self) -> None:
        self.closed = True

    def rediscover(self) -> None:
        self.looked += 1


@dataclass
class Line:
    """The lane under test, and what it told."""

    pool: Pool
    retries: Pool
    obstacle: Failure | None = None
    takes_s: float = 0.0  # an attempt to connect
    sessions: list[StubSession] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def connect(self, database: str = "postgres") -> Session:
        time.sleep(self.takes_s)
        if self.obstacle is not None:
            raise ReadError(self.obstacle)
        self.sessions.append(StubSession(database))
        return cast("Session", self.sessions[-1])

    def server(self) -> ServerLane:
        return ServerLane(
            "t/server",
            system_now,
            connects=self.pool,
            retries=self.retries,
            polls=self.pool,
            connect=self.connect,
            up=lambda _session: self.told.append(("up", "")),
            down=lambda failure: self.told.append(("down", failure.kind)),
        )

    def job(
        self,
        key: str,
        run: Callable[[Any], None] = lambda _session: None,
        database: str | None = None,
        within_s: float = 0.0,
    ) -> Job:
        def ran(session: Session) -> None:
            run(session)
            self.told.append((key, "ran"))

        return Job(
            key=key,
            run=ran,
            failed=lambda failure: self.told.append((key, failure.kind)),
            database=database,
            within_s=within_s,
        )

    def hears(self, *wanted: tuple[str, str]) -> None:
        poll(lambda: len(self.told) >= len(wanted), 5)
        assert self.told == list(wanted)


@pytest.fixture
def line() -> Iterator[Line]:
    pools = [Pool(name, system_now, core=2, most=4) for name in ("test", "retries")]
    yield Line(*pools)
    assert all(pool.stop(5) for pool in pools)


def raising(failure: Failure, *, breaks: bool = False) -> Callable[[Any], None]:
    def run(session: StubSession) -> None:
        session.broken = breaks
        raise ReadError(failure)

    return run


def test_a_job_runs_on_a_connection_that_stays(line: Line) -> None:
    lane = line.server()
    for key in ("a", "b"):
        lane.due(line.job(key))
        poll(lambda key=key: (key, "ran") in line.told, 5)
    assert len(line.sessions) == 1
    assert line.told == [("up", ""), ("a", "ran"), ("b", "ran")]


def test_who_made_a_worker_wait_is_tried_again_by_others(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent targets, however many, do not keep those from connecting that were not tried yet."""
    monkeypatch.setattr("daemon.lanes.lane.SLOW_S", 0.05)
    lane = line.server()
    line.obstacle, line.takes_s = Failure(FailureKind.SILENT, "no answer"), 0.1
    assert lane.pool is line.pool
    lane.due(line.job("a"))
    line.hears(("down", FailureKind.SILENT), ("a", FailureKind.SILENT))
    assert lane.pool is line.retries
    line.takes_s = 0.0
    lane.due(line.job("a"))
    poll(lambda: lane.pool is line.pool, 5, message="a refusal costs nobody anything")


def test_a_tick_that_finds_the_job_running_is_missed_and_not_queued(line: Line) -> None:
    lane = line.server()
    running, release = threading.Event(), threading.Event()

    def hold(_session: Any) -> None:
        running.set()
        assert release.wait(5)

    lane.due(line.job("slow", hold))
    assert running.wait(5)
    for _ in range(3):
        lane.due(line.job("slow", hold))
    lane.due(line.job("asked"), tick=False)
    lane.due(line.job("asked"), tick=False)
    assert dict(lane.missed) == {"slow": 3}
    release.set()
    line.hears(("up", ""), ("slow", "ran"), ("asked", "ran"))


def test_what_a_job_goes_by_may_change_while_it_runs(line: Line) -> None:
    """Asked for anew, it runs once more after the turn; asked for twice, still once."""
    lane = line.server()
    began, go = threading.Event(), threading.Event()
    runs: list[int] = []

    def slow(_session: Session) -> None:
        runs.append(1)
        began.set()
        go.wait(10)

    job = Job(key="databases", run=slow, failed=lambda _failure: None)
    lane.due(job)
    assert began.wait(10)
    lane.due(job, tick=False)
    lane.due(job, tick=False, anew=True)
    lane.due(job, tick=False, anew=True)
    go.set()
    poll(lambda: len(runs) == 2 and not lane.busy_s, 10)
    assert lane.missed["databases"] == 0


def test_a_failed_job_costs_the_others_nothing(line: Line) -> None:
    lane = line.server()
    lane.due(line.job("bad", raising(TIMEOUT)))
    line.hears(("up", ""), ("bad", "timeout"))
    lane.due(line.job("good"))
    line.hears(("up", ""), ("bad", "timeout"), ("good", "ran"))
    assert len(line.sessions) == 1


def test_a_defect_in_a_job_is_told_as_a_bug_and_costs_nothing_else(line: Line) -> None:
    lane = line.server()
    lane.due(line.job("defect", lambda _session: 1 // 0))
    line.hears(("up", ""), ("defect", "bug"))
    lane.due(line.job("good"))
    poll(lambda: ("good", "ran") in line.told, 5)


def test_a_connection_that_ended_is_made_anew_and_the_job_run_again(line: Line) -> None:
    """An administrator ended our session, or a pooler did: the server has not gone."""
    lane = line.server()
    runs: list[Any] = []

    def ends_once(session: StubSession) -> None:
        runs.append(session)
        if len(runs) == 1:
            raising(LOST, breaks=True)(session)

    lane.due(line.job("a"))
    line.hears(("up", ""), ("a", "ran"))
    lane.due(line.job("ended", ends_once))
    line.hears(("up", ""), ("a", "ran"), ("up", ""), ("ended", "ran"))
    assert line.sessions[0].closed


def test_a_connection_that_breaks_at_once_again_is_down(line: Line) -> None:
    lane = line.server()
    lane.due(line.job("breaks", raising(LOST, breaks=True)))
    line.hears(("up", ""), ("down", "lost"), ("breaks", "lost"))
    lane.due(line.job("good"))
    line.hears(("up", ""), ("down", "lost"), ("breaks", "lost"), ("up", ""), ("good", "ran"))


def test_silence_is_down_without_another_try(line: Line) -> None:
    """A second try would cost another full deadline and tell nothing new."""
    silent = Failure(FailureKind.SILENT, "no answer within 5s")
    lane = line.server()
    lane.due(line.job("a"))
    line.hears(("up", ""), ("a", "ran"))
    lane.due(line.job("hangs", raising(silent, breaks=True)))
    line.hears(("up", ""), ("a", "ran"), ("down", "silent"), ("hangs", "silent"))


def test_a_lane_that_is_closed_before_its_turn_has_nothing_to_do(line: Line) -> None:
    """A target that is removed while its first reading waits for a worker."""
    lanes = (
        line.server(),
        DatabasesLane("t/databases", system_now, pool=line.pool, connect=line.connect),
    )
    for lane in lanes:
        lane.close()
        lane.work()
    assert (line.sessions, line.told) == ([], [])


def test_what_is_read_every_second_does_not_wait_for_all_that_came_due_before_it(line: Line) -> None:
    """And what is read every minute is read, however often the others come."""
    lane = line.server()
    running, release = threading.Event(), threading.Event()

    def again(_session: Any) -> None:
        lane.due(line.job("activity", within_s=1))

    def hold(_session: Any) -> None:
        running.set()
        assert release.wait(5)

    lane.due(line.job("held", hold))
    assert running.wait(5)
    for key in ("wal", "io"):
        lane.due(line.job(key, again, within_s=60))
    lane.due(line.job("statements", within_s=0.5))
    release.set()
    told = ["held", "statements", "wal", "activity", "io", "activity"]
    line.hears(("up", ""), *((key, "ran") for key in told))


def test_all_that_waits_hears_at_once_that_the_connection_is_lost(line: Line) -> None:
    """Each of them would take its own deadline to find that out."""
    lane = line.server()
    running, release = threading.Event(), threading.Event()

    def silent(session: Any) -> None:
        running.set()
        assert release.wait(5)
        raising(Failure(FailureKind.SILENT, "no answer within 5s"), breaks=True)(session)

    lane.due(line.job("hangs", silent))
    assert running.wait(5)
    lane.due(line.job("waits"))
    release.set()
    line.hears(("up", ""), ("down", "silent"), ("hangs", "silent"), ("waits", "silent"))
    assert len(line.sessions) == 1


def test_no_connection_is_told_to_every_job_that_was_due(line: Line) -> None:
    line.obstacle = REFUSED
    lane = line.server()
    lane.due(line.job("a"))
    line.hears(("down", "refused"), ("a", "refused"))


def test_an_undefined_column_has_the_facts_discovered_anew(line: Line) -> None:
    lane = line.server()
    lane.due(line.job("old", raising(UNDEFINED)))
    line.hears(("up", ""), ("old", "undefined"), ("up", ""))
    assert line.sessions[0].looked == 1


def test_a_server_that_refuses_is_not_tried_for_every_database(line: Line) -> None:
    attempts: list[str] = []

    def connect(database: str) -> Session:
        attempts.append(database)
        raise ReadError(REFUSED)

    lane = DatabasesLane("t/databases", system_now, pool=line.pool, connect=connect)
    hold = threading.Event()
    lane.due(line.job("first", lambda _session: hold.wait(5), database="x"))
    poll(lambda: line.told, 5)
    before = len(attempts)
    gate = threading.Lock()
    with gate:
        for database in ("a", "b", "c"):
            lane.due(line.job(database, database=database))
    poll(lambda: len(line.told) == 4, 5)
    assert {word for _key, word in line.told} == {"refused"}
    assert len(attempts) - before <= 3


def test_one_unreadable_database_does_not_hide_the_others(line: Line) -> None:
    refused = Failure(FailureKind.NO_DATABASE, "gone")

    def connect(database: str) -> Session:
        if database == "gone":
            raise ReadError(refused)
        return line.connect(database)

    lane = DatabasesLane("t/databases", system_now, pool=line.pool, connect=connect)
    for database in ("gone", "shop"):
        lane.due(line.job(f"read {database}", database=database))
    poll(lambda: len(line.told) == 2, 5)
    assert sorted(line.told) == [("read gone", "no_database"), ("read shop", "ran")]
    assert all(session.closed for session in line.sessions)


def test_a_defect_in_telling_does_not_end_the_lane(line: Line) -> None:
    """What comes due while a turn ends in an exception is served all the same, and so is all that follows."""
    lane = line.server()
    running, release = threading.Event(), threading.Event()

    def hold(_session: Any) -> None:
        running.set()
        assert release.wait(5)
        raise ReadError(TIMEOUT)

    def defect(_failure: Failure) -> None:
        raise KeyError("a defect")

    lane.due(Job(key="bad", run=hold, failed=defect))
    assert running.wait(5)
    lane.due(line.job("next"))
    release.set()
    line.hears(("up", ""), ("next", "ran"))
    lane.due(line.job("later"))
    line.hears(("up", ""), ("next", "ran"), ("later", "ran"))


def test_after_the_end_nobody_is_told_and_no_connection_stays(line: Line) -> None:
    """A stop in the middle of a read is no outage: no target is called down for it."""
    lane = line.server()
    running, release = threading.Event(), threading.Event()

    def cut(session: Any) -> None:
        running.set()
        assert release.wait(5)
        session.broken = True
        raise ReadError(Failure(FailureKind.SILENT, "interrupted"))

    lane.due(line.job("cut", cut))
    assert running.wait(5)
    lane.close()
    release.set()
    poll(lambda: line.sessions[0].closed, 5)
    assert line.pool.stop(5)
    assert line.told == [("up", "")]
