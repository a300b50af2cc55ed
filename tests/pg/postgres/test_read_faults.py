"""Whatever ends a read is told apart, in time, and never holds the thread."""

import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.limits import Limits
from pgvigil.postgres.query import Column, Query
from pgvigil.postgres.session import Session, connect
from pgvigil.scratch.server import ScratchServer
from tests.support.locks import idle_in_transaction
from tests.support.network import Pooler
from tests.support.polling import poll
from tests.support.servers import Database, StartServer

QUICK = Limits(statement_s=0.5, margin_s=0.5)
PATIENT = Limits(statement_s=60)


class One(NamedTuple):
    value: object


ONE = Query(name="test_one", row=One, columns=(Column("value", "1"),), source="")
SLEEP = Query(name="test_sleep", row=One, columns=(Column("value", "pg_sleep(60)"),), source="")
TABLE = Query(name="test_table", row=One, columns=(Column("value", "n"),), source="FROM public.t")
CAST = Query(name="test_cast", row=One, columns=(Column("value", "n::int4"),), source="FROM public.t")


def failure_of(session: Session, query: Query[One] = ONE) -> Failure:
    with pytest.raises(ReadError) as caught:
        session.rows(query)
    return caught.value.failure


class Read:
    """A read of a minute in a thread of its own, begun when the server has it."""

    def __init__(self, session: Session, dsn: str) -> None:
        self._failure: list[Failure] = []
        self._thread = threading.Thread(target=self._run, args=(session,))
        self._thread.start()
        with psycopg.connect(dsn, autocommit=True) as admin:
            poll(
                lambda: admin.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'",
                    [session.backend_pid],
                ).fetchone(),
                message="the read runs",
            )

    def _run(self, session: Session) -> None:
        try:
            session.rows(SLEEP)
        except ReadError as error:
            self._failure.append(error.failure)

    def failure(self) -> Failure:
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the read still holds its thread"
        return self._failure[0]


@pytest.fixture
def frozen_at_the_end(own_server: ScratchServer) -> Iterator[ScratchServer]:
    yield own_server
    own_server.sigcont()


def test_a_slow_query_is_a_timeout_and_the_session_lives(each_database: Database) -> None:
    session = connect(Dsn.parse(each_database.dsn()), limits=QUICK)
    failure = failure_of(session, SLEEP)
    assert (failure.kind, failure.sqlstate) == (FailureKind.TIMEOUT, "57014")
    assert session.rows(ONE) == ((1,),)
    session.close()


def test_a_locked_relation_is_given_up_at_once(each_database: Database) -> None:
    each_database.execute("CREATE TABLE public.t (n text)")
    session = connect(Dsn.parse(each_database.dsn()))
    with idle_in_transaction(each_database.dsn(), "LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE"):
        failure = failure_of(session, TABLE)
    assert (failure.kind, failure.sqlstate) == (FailureKind.LOCK_TIMEOUT, "55P03")
    assert session.rows(TABLE) == ()
    session.close()


def test_no_privilege_is_a_privilege(each_database: Database) -> None:
    role = f"poor_{each_database.name}"
    each_database.execute("CREATE TABLE public.t (n text)")
    each_database.execute(f"CREATE ROLE {role} LOGIN")
    session = connect(Dsn.parse(each_database.dsn(user=role)))
    failure = failure_of(session, TABLE)
    session.close()
    each_database.execute(f"DROP ROLE {role}")
    assert failure.kind is FailureKind.PRIVILEGE


def test_a_statistics_view_that_is_not_preloaded_is_missing(start_server: StartServer) -> None:
    bare = start_server(preload=())
    with psycopg.connect(bare.dsn(), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
    session = connect(Dsn.parse(bare.dsn()))
    query = Query(
        name="test_statements",
        row=One,
        columns=(Column("value", "calls"),),
        source="FROM {schema}.pg_stat_statements",
        extension="pg_stat_statements",
    )
    failure = failure_of(session, query)
    session.close()
    assert failure.kind is FailureKind.MISSING


def test_a_server_frozen_between_reads_is_silent(frozen_at_the_end: ScratchServer) -> None:
    session = connect(Dsn.parse(frozen_at_the_end.dsn()), limits=QUICK)
    frozen_at_the_end.sigstop()
    failure = failure_of(session)
    assert failure == Failure(FailureKind.SILENT, "no answer within 1s; the connection was given up")
    assert session.broken
    assert failure_of(session).kind is FailureKind.LOST


def test_a_server_frozen_in_the_middle_of_a_read_is_silent(frozen_at_the_end: ScratchServer) -> None:
    session = connect(Dsn.parse(frozen_at_the_end.dsn()), limits=Limits(statement_s=3, margin_s=0.5))
    read = Read(session, frozen_at_the_end.dsn())
    frozen_at_the_end.sigstop()
    assert read.failure().kind is FailureKind.SILENT


def test_a_frozen_server_leaves_no_thread_behind(frozen_at_the_end: ScratchServer) -> None:
    quick = Limits(statement_s=0.2, margin_s=0.1)
    sessions = [connect(Dsn.parse(frozen_at_the_end.dsn()), limits=quick) for _ in range(20)]
    before = threading.active_count()
    frozen_at_the_end.sigstop()
    for session in sessions:
        assert failure_of(session).kind is FailureKind.SILENT
    assert threading.active_count() <= before


def test_a_killed_backend_is_a_lost_connection(own_server: ScratchServer) -> None:
    session = connect(Dsn.parse(own_server.dsn()), limits=PATIENT)
    read = Read(session, own_server.dsn())
    os.kill(session.backend_pid, signal.SIGKILL)
    assert read.failure().kind is FailureKind.LOST
    assert session.broken


def test_a_server_that_is_stopped_in_the_middle_of_a_read_says_so(own_server: ScratchServer) -> None:
    session = connect(Dsn.parse(own_server.dsn()), limits=PATIENT)
    read = Read(session, own_server.dsn())
    own_server.stop("fast")
    failure = read.failure()
    assert (failure.kind, failure.sqlstate) == (FailureKind.SHUTTING_DOWN, "57P01")
    assert session.broken


def test_a_restart_between_reads_breaks_the_session_and_the_next_one_works(own_server: ScratchServer) -> None:
    session = connect(Dsn.parse(own_server.dsn()))
    started_at = session.facts.started_at
    own_server.restart()
    assert failure_of(session).kind in {FailureKind.LOST, FailureKind.SHUTTING_DOWN}
    assert session.broken
    again = connect(Dsn.parse(own_server.dsn()))
    assert again.facts.started_at > started_at
    again.close()


def test_an_interrupted_read_ends_now(own_server: ScratchServer) -> None:
    session = connect(Dsn.parse(own_server.dsn()), limits=PATIENT)
    read = Read(session, own_server.dsn())
    session.interrupt()
    assert read.failure().kind is FailureKind.SILENT
    assert session.broken
    session.interrupt()  # nothing runs: nothing happens


def test_values_of_rows_stay_out_of_the_message(each_database: Database) -> None:
    """The message of a failed cast quotes the value."""
    each_database.execute("CREATE TABLE public.t (n text); INSERT INTO public.t VALUES ('4111-1111')")
    session = connect(Dsn.parse(each_database.dsn()))
    failure = failure_of(session, CAST)
    session.close()
    assert failure.kind is FailureKind.SQL
    assert failure.message == 'invalid input syntax for type integer: "..."'


# --- behind a pooler ---


@pytest.fixture(params=[True, False], ids=["refuses options", "drops options"])
def pooled(request: pytest.FixtureRequest, database: Database) -> Iterator[Session]:
    parameters = Dsn.parse(database.dsn()).parameters()
    pooler = Pooler(int(parameters["port"]), refuse=request.param)
    dsn = database.dsn(host="127.0.0.1", port=pooler.port)
    session = connect(Dsn.parse(dsn), limits=QUICK)
    yield session
    session.close()
    pooler.close()


def test_a_session_behind_a_pooler_is_under_the_same_limits(pooled: Session) -> None:
    assert failure_of(pooled, SLEEP).kind is FailureKind.TIMEOUT
    locking = Query(
        name="test_lock", row=One, columns=(Column("value", "1"),), source="FROM pg_class FOR UPDATE"
    )
    assert failure_of(pooled, locking).sqlstate == "25006"
    assert pooled.rows(ONE) == ((1,),)
    assert not pooled.broken


def test_nothing_of_ours_is_left_in_the_poolers_connection(pooled: Session) -> None:
    pooled.rows(ONE)
    raw = pooled._channel._connection
    left = raw.execute(
        "SELECT name FROM pg_settings WHERE source = 'session' AND name NOT IN ('client_encoding')"
    ).fetchall()
    assert left == []


# --- our own limits ---


def test_a_process_without_descriptors_blames_itself_and_goes_on_afterwards(database: Database) -> None:
    dsn = Dsn.parse(database.dsn())
    session = connect(dsn)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    taken = [os.dup(0) for _ in range(highest + 1)]  # every gap below the highest is closed
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, hard))
    try:
        reading = failure_of(session)
        with pytest.raises(ReadError) as caught:
            connect(dsn)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
    for failure in (reading, caught.value.failure):
        assert failure == Failure(
            FailureKind.RESOURCES, "pgvigil itself lacks what it needs: Too many open files"
        )
    assert session.rows(ONE) == ((1,),)
    session.close()
