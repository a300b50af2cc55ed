"""The fixtures that all other tests stand on."""

import psycopg
import pytest

from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database, Server


def test_database_is_fresh_and_can_have_statements(each_database: Database) -> None:
    assert each_database.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ) == [(0,)]
    each_database.execute("CREATE EXTENSION pg_stat_statements")
    assert each_database.execute("SELECT count(*) > 0 FROM pg_stat_statements") == [(True,)]


def test_each_server_is_the_version_it_is_named_for(each_server: Server) -> None:
    assert each_server.name in {f"pg{each_server.version_num // 10000}", "given", "container"}


def test_blocked_session_waits_for_the_holder(database: Database) -> None:
    database.execute("CREATE TABLE t (n int)")
    with (
        idle_in_transaction(database.dsn(), "LOCK TABLE t") as holder,
        blocked_session(database.dsn(), "SELECT * FROM t") as waiter,
    ):
        assert database.execute("SELECT pg_blocking_pids(%s)", [waiter.pid]) == [([holder.pid],)]
    assert isinstance(waiter.error[0], psycopg.errors.QueryCanceled)


def test_blocked_session_refuses_a_scene_in_which_nobody_waits(database: Database) -> None:
    with (
        pytest.raises(AssertionError, match="waits for a lock"),
        blocked_session(database.dsn(), "SELECT pg_sleep(60)", deadline_s=0.2),
    ):
        pass


def test_poll_gives_the_answer_or_fails_with_what_was_awaited() -> None:
    answers = iter([0, "", "here"])
    assert poll(lambda: next(answers), 5) == "here"
    with pytest.raises(AssertionError, match="pigs fly"):
        poll(lambda: False, 0.05, message="pigs fly")
