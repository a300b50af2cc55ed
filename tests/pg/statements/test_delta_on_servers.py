"""Each thing that discards counters, done to real servers, and what the delta says of it."""

import threading
from collections.abc import Callable

import psycopg

from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import connect
from pgvigil.scratch.server import ScratchServer
from tests.pg.statements.conftest import Watched
from tests.support.polling import poll

KNOWN, FRESH, OTHER = "SELECT work.known($1)", "SELECT work.fresh($1)", "SELECT work.other($1)"


def distinct(number: int) -> list[str]:
    """So many statements that differ in more than their constants."""
    return [f"SELECT work.other({'+'.join(['1'] * length)})" for length in range(2, 2 + number)]


def test_what_ran_is_counted_and_a_report_that_ran_once_is_seen(watched: Watched) -> None:
    watched.run("SELECT work.known(2)", "SELECT work.known(3)", "SELECT work.fresh(1)")
    delta = watched.read()
    assert delta.unknown is None
    assert watched.told(delta) == {KNOWN: 2, FRESH: 1}
    assert watched.doubtful(delta) == set()
    assert watched.told(watched.read()) == {}


def test_a_report_that_runs_longer_than_the_interval_is_seen_when_it_ends(watched: Watched) -> None:
    """It is parsed before one reading and ends after it: from 17 on its entry is older than that reading."""
    report = "SELECT work.fresh(1), pg_sleep(2)"
    thread = threading.Thread(target=watched.run, args=(report,))
    thread.start()
    is_running = f"SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = '{report}'"
    poll(lambda: watched.run(is_running), message="the report is running")
    assert watched.told(watched.read()) == {}
    thread.join()
    assert watched.told(watched.read()) == {"SELECT work.fresh($1), pg_sleep($2)": 1}


def test_a_global_reset_makes_the_interval_unknown_and_the_next_one_known(watched: Watched) -> None:
    watched.run("SELECT pg_stat_statements_reset()", "SELECT work.known(1)")
    delta = watched.read()
    assert delta.unknown == ("the statistics were reset" if watched.informed else None)
    assert watched.told(delta) == ({KNOWN: 1} if watched.dated else {})
    watched.run("SELECT work.known(1)")
    after = watched.read()
    assert (after.unknown, watched.told(after)) == (None, {KNOWN: 1})


def test_a_single_entry_that_was_reset_is_never_negative(watched: Watched) -> None:
    watched.run(
        "SELECT pg_stat_statements_reset(0, 0, queryid) FROM pg_stat_statements WHERE query = 'SELECT work.known($1)'",
        *["SELECT work.known(1)"] * 2,
        "SELECT work.fresh(1)",
    )
    delta = watched.read()
    assert delta.unknown is None
    both = {KNOWN: 2, FRESH: 1}
    doubtful = set() if watched.dated else {KNOWN} if watched.informed else {KNOWN, FRESH}
    assert watched.doubtful(delta) == doubtful
    assert watched.told(delta) == {text: calls for text, calls in both.items() if text not in doubtful}


def test_behind_an_eviction_new_entries_are_told_only_where_they_are_dated(watched: Watched) -> None:
    watched.run("SELECT work.known(1)", *distinct(150))
    watched.run(*["SELECT work.fresh(1)"] * 3)
    delta = watched.read()
    if watched.informed:
        assert watched.run("SELECT dealloc > 0 FROM pg_stat_statements_info") == [(True,)]
    assert delta.unknown is None
    told = watched.told(delta)
    assert told[KNOWN] == 1  # it had ten calls: an eviction takes the least used
    if watched.informed:
        assert (FRESH in told) is watched.dated
        assert (FRESH in watched.doubtful(delta)) is not watched.dated


def test_entries_that_were_evicted_and_came_again_are_never_negative(watched: Watched) -> None:
    for _ in range(3):
        watched.run(*distinct(150))
        delta = watched.read()
        assert (delta.rows.ran["calls"] > 0).all()
        assert (delta.rows.ran["exec_ms"] >= 0).all()
        assert all(calls <= 2 for calls in watched.told(delta).values())


def test_counters_that_were_kept_over_a_restart_are_not_counted_again(watched: Watched) -> None:
    watched.run("SELECT work.known(1)")
    watched.server.restart()
    watched.reconnect()
    watched.run("SELECT work.known(1)", "SELECT work.fresh(1)")
    delta = watched.read()
    assert delta.unknown == (None if watched.dated else "the server was restarted")
    assert watched.told(delta) == ({KNOWN: 2, FRESH: 1} if watched.dated else {})
    watched.run("SELECT work.known(1)")
    assert watched.told(watched.read()) == {KNOWN: 1}


def test_a_crash_loses_the_counters_and_the_interval(watched: Watched) -> None:
    watched.server.kill9()
    watched.server.start_again()
    watched.reconnect()
    watched.run("SELECT work.known(1)")
    delta = watched.read()
    assert delta.unknown == ("the statistics were reset" if watched.informed else "the server was restarted")
    assert watched.told(delta) == ({KNOWN: 1} if watched.dated else {})


def test_a_promotion_under_the_same_connection_makes_the_interval_unknown(watched: Watched) -> None:
    watched.server.stop()
    (watched.server.data / "standby.signal").touch()
    watched.server.start_again()
    watched.reconnect()
    assert watched.read().unknown == "the server changed its role"
    watched.run("SELECT work.known(1)")
    assert watched.told(watched.read()) == {KNOWN: 1}
    watched.run("SELECT pg_promote()", "SELECT work.known(1)")
    assert watched.read().unknown == "the server changed its role"
    watched.run("SELECT work.known(1)")
    assert watched.told(watched.read()) == {KNOWN: 1}


def test_another_server_behind_the_same_name_makes_the_interval_unknown(
    watched: Watched, start_server: Callable[..., ScratchServer], watch: Callable[[ScratchServer], Watched]
) -> None:
    """A copy with the same system identifier, as a standby is; it runs at the time of the reading before."""
    other = start_server(watched.server.binaries.major)
    with psycopg.connect(other.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    elsewhere = watch(other)
    elsewhere.run(*["SELECT work.known(1)"] * 30)
    watched.read()
    elsewhere.deltas, elsewhere.reads = watched.deltas, watched.reads
    delta = elsewhere.read()
    assert delta.unknown == "another server answers (it was already running before)"
    assert elsewhere.told(delta) == {}


def test_a_statement_inside_a_function_is_an_entry_of_its_own(watched: Watched) -> None:
    """Where the server tells them apart: from 14 on."""
    watched.run(
        "CREATE OR REPLACE FUNCTION work.outer_one() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT work.known(1)); END $$"
    )
    watched.read()
    watched.run("SELECT work.outer_one()")
    ran = watched.read().rows.ran
    assert set(ran["toplevel"].tolist()) == ({True, False} if watched.informed else {True})


def test_what_a_role_may_see_only_now_did_not_run_only_now(
    watched: Watched, private_server: ScratchServer
) -> None:
    """Granting pg_monitor shows the history of all roles at once: none of it is this interval's."""
    watched.run("DROP ROLE IF EXISTS newcomer", "CREATE ROLE newcomer LOGIN")
    watched.session.close()
    watched.session = connect(Dsn.parse(private_server.dsn(user="newcomer")))
    assert watched.read().rows.hidden > 0
    watched.run("GRANT pg_monitor TO newcomer")
    delta = watched.read()
    assert watched.told(delta) == {}
    assert KNOWN in watched.doubtful(delta)
    watched.run("SELECT work.known(1)")
    assert watched.told(watched.read()) == {KNOWN: 1}
