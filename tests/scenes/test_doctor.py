"""`pgvigil doctor` finds what is wrong with real servers, names the fix, and the fix works."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from daemon.cli import codes
from daemon.clock import system_now
from pgvigil.model.moment import Moment
from pgvigil.scratch.server import ScratchServer
from tests.support.doctors import CONSOLE, Doctor, run
from tests.support.servers import StartServer


@pytest.fixture
def admin(own_server: ScratchServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A superuser's connection to a private server that is set up well, with the role pgvigil."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
        yield connection


def test_a_server_that_is_set_up_well_has_no_problem(
    doctor: Doctor, own_server: ScratchServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    """As the role of the grants; the report says what was looked at."""
    admin.execute("ALTER ROLE pgvigil CONNECTION LIMIT 5")
    ran = doctor.run(doctor.write(own_server.dsn(user="pgvigil"), more=CONSOLE))
    assert (ran.returncode, ran.stderr) == (codes.OK, "")
    assert "shop: 16 checks, no problem\n  ok: connection, connection limit, pg_monitor" in ran.stdout
    assert (
        "pgvigil: 4 checks, no problem\n  ok: configuration, store, listening address, sink here"
        in ran.stdout
    )


@pytest.mark.parametrize(
    ("setting", "value", "slug"),
    [
        ("track_io_timing", "off", "track-io-timing-off"),
        ("compute_query_id", "off", "compute-query-id-off"),
        ("track_activities", "off", "track-activities-off"),
        ("track_counts", "off", "track-counts-off"),
        ("pg_stat_statements.track", "none", "statements-not-tracked"),
    ],
)
def test_a_setting_is_mended_by_its_fix(
    doctor: Doctor, start_server: StartServer, setting: str, value: str, slug: str
) -> None:
    server = start_server(settings={setting: value})
    run(server, "CREATE EXTENSION pg_stat_statements")
    file = doctor.write(server.dsn())
    found = doctor.look(file)
    assert slug in found.problems
    run(server, found.problems[slug].fix)
    mended = doctor.look(file)
    assert (mended.problems, mended.unseen) == ({}, {})


def test_a_setting_that_takes_a_restart_says_so_and_then_asks_for_the_restart_alone(
    doctor: Doctor, start_server: StartServer
) -> None:
    server = start_server(settings={"track_activity_query_size": "1024"})
    run(server, "CREATE EXTENSION pg_stat_statements")
    file = doctor.write(server.dsn())
    [problem] = doctor.look(file).problems.values()
    assert problem.slug == "track-activity-query-size-small"
    run(server, problem.fix, "SELECT pg_reload_conf()")
    [problem] = doctor.look(file).problems.values()
    assert problem.fix == "Restart the server: a change of track_activity_query_size waits for it."
    server.restart()
    assert doctor.look(file).problems == {}


def test_the_way_from_a_bare_server_to_statement_statistics(
    doctor: Doctor, start_server: StartServer
) -> None:
    """Not preloaded and not created; each fix, done as it stands, is one step of the way."""
    server = start_server(preload=())
    file = doctor.write(server.dsn())
    found = doctor.look(file)
    assert found.problems.keys() == {"extension-not-preloaded"}
    well = {each.check for each in found.checks if not each.problems and not each.why_not}
    assert not any("created" in check for check in well)
    why = found.problems["extension-not-preloaded"].why
    assert "Once the server has it: CREATE EXTENSION pg_stat_statements; in one watched database" in why
    assert "slow_query, statement_evictions cannot fire" in why
    run(server, found.problems["extension-not-preloaded"].fix)
    server.restart()
    found = doctor.look(file)
    assert found.problems.keys() == {"extension-missing"}
    assert "slow_query, statement_evictions cannot fire" in found.problems["extension-missing"].why
    run(server, found.problems["extension-missing"].fix)
    found = doctor.look(file)
    assert (found.problems, found.unseen) == ({}, {})


def test_created_and_not_loaded(doctor: Doctor, start_server: StartServer) -> None:
    server = start_server(preload=())
    run(server, "CREATE EXTENSION pg_stat_statements")
    found = doctor.look(doctor.write(server.dsn()))
    assert found.problems.keys() == {"extension-not-preloaded"}
    assert "must be loaded" in found.unseen["pg_stat_statements.max"]
    assert doctor.run(doctor.write(server.dsn())).returncode == codes.WARNING, "it is known why"


def test_an_old_extension_is_updated_by_its_fix(doctor: Doctor, own_server: ScratchServer) -> None:
    run(own_server, "CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    file = doctor.write(own_server.dsn())
    [problem] = doctor.look(file).problems.values()
    assert problem.slug == "extension-outdated"
    run(own_server, problem.fix)
    assert doctor.look(file).problems == {}


def test_too_little_room_for_the_churn(doctor: Doctor, start_server: StartServer) -> None:
    """The figure is there, and the size that would do; more room is the end of it."""
    server = start_server(settings={"pg_stat_statements.max": "100"})
    run(server, "CREATE EXTENSION pg_stat_statements", *(f"LISTEN channel_{number}" for number in range(400)))
    file = doctor.write(server.dsn())
    [problem] = doctor.look(file).problems.values()
    assert problem.slug == "pg-stat-statements-max-small"
    assert "pg_stat_statements.max is 100, and " in problem.sentence
    assert problem.fix.startswith("ALTER SYSTEM SET pg_stat_statements.max = 5000;")
    run(server, problem.fix, "SELECT pg_stat_statements_reset()")
    server.restart()
    assert doctor.look(file).problems == {}


def statements_with_texts(server: ScratchServer) -> Path:
    """Some entries of pg_stat_statements, and the file that the server keeps their texts in."""
    run(server, "CREATE EXTENSION pg_stat_statements", *(f"LISTEN channel_{n}" for n in range(60)))
    return server.data / "pg_stat_tmp" / "pgss_query_texts.stat"


def test_a_text_file_that_cannot_be_opened(doctor: Doctor, own_server: ScratchServer) -> None:
    """The server says nothing of it but in its log: entries have no text."""
    texts = statements_with_texts(own_server)
    texts.chmod(0)
    found = doctor.look(doctor.write(own_server.dsn()))
    assert found.problems.keys() == {"statement-texts-lost"}
    texts.chmod(0o600)
    run(own_server, found.problems["statement-texts-lost"].fix)
    assert doctor.look(doctor.write(own_server.dsn())).problems == {}


def test_a_text_file_that_was_deleted(doctor: Doctor, own_server: ScratchServer) -> None:
    """New texts are written where they would have been; what is before them is no text at all."""
    statements_with_texts(own_server).unlink()
    run(own_server, "LISTEN another_one")
    found = doctor.look(doctor.write(own_server.dsn()))
    assert found.problems.keys() == {"statement-texts-unreadable"}
    assert "invalid byte sequence" in found.problems["statement-texts-unreadable"].sentence
    run(own_server, found.problems["statement-texts-unreadable"].fix)
    assert doctor.look(doctor.write(own_server.dsn())).problems == {}


def test_texts_that_the_database_cannot_show(doctor: Doctor, own_server: ScratchServer) -> None:
    """A statement with a euro sign, asked for in a database whose encoding has none."""
    run(
        own_server,
        "CREATE DATABASE old ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        'SELECT 1 AS "€"',
    )
    with psycopg.connect(own_server.dsn("old"), autocommit=True) as old:
        old.execute("CREATE EXTENSION pg_stat_statements")
    found = doctor.look(doctor.write(own_server.dsn("old"), "old"))
    assert found.problems.keys() == {"statement-texts-unreadable"}
    assert "UTF8" in found.problems["statement-texts-unreadable"].fix


def test_privileges_are_mended_by_their_fixes(
    doctor: Doctor, own_server: ScratchServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    """No pg_monitor, a closed database, a closed function, too few connections: each fix done, nothing is left."""
    for statement in (
        "REVOKE pg_monitor FROM pgvigil",
        "ALTER ROLE pgvigil CONNECTION LIMIT 2",
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_stat_statements FROM PUBLIC, pg_monitor, pg_read_all_stats",
    ):
        admin.execute(statement)
    file = doctor.write(own_server.dsn(user="pgvigil"))
    found = doctor.look(file)
    assert found.problems.keys() == {
        "connect-missing",
        "connection-limit-small",
        "not-pg-monitor",
        "privilege-missing",
    }
    assert "slow_query, statement_evictions cannot fire" in found.problems["privilege-missing"].why
    run(own_server, *(found.problems[slug].fix for slug in sorted(found.problems)))
    mended = doctor.look(file)
    assert (mended.problems, mended.unseen) == ({}, {})


def test_a_database_of_the_dsn_that_is_closed(
    doctor: Doctor, own_server: ScratchServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    admin.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    file = doctor.write(own_server.dsn(user="pgvigil"))
    found = doctor.look(file)
    assert "permission denied" in found.unseen["connection"]
    [problem] = found.problems.values()
    assert problem.fix == "GRANT CONNECT ON DATABASE postgres TO pgvigil;"


def test_a_role_without_a_free_connection(
    doctor: Doctor, own_server: ScratchServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    admin.execute("ALTER ROLE pgvigil CONNECTION LIMIT 1")
    with psycopg.connect(own_server.dsn(user="pgvigil")):
        found = doctor.look(doctor.write(own_server.dsn(user="pgvigil")))
    assert found.problems["connection-limit-small"].fix == "ALTER ROLE pgvigil CONNECTION LIMIT 5;"


@pytest.mark.parametrize(
    ("by", "word"), [(timedelta(minutes=-3), "ahead of"), (timedelta(minutes=3), "behind")]
)
def test_clocks_that_disagree(doctor: Doctor, own_server: ScratchServer, by: timedelta, word: str) -> None:
    run(own_server, "CREATE EXTENSION pg_stat_statements")

    def skewed() -> Moment:
        moment = system_now()
        return replace(moment, utc=moment.utc + by)

    [problem] = doctor.look(doctor.write(own_server.dsn()), now=skewed).problems.values()
    assert problem.slug == "clock-skew"
    assert f"{word} the daemon's" in problem.sentence
