"""`pgvigil doctor` finds what is wrong with real servers, names the fix, and the fix works."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from daemon.cli import codes
from daemon.clock import system_now
from daemon.demo.fake_slack import FakeSlack
from pgvigil.model.moment import Moment
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import running_daemon
from tests.support.doctors import Doctor
from tests.support.servers import StartServer

CONSOLE = '[sinks.here]\nkind = "console"\n'
ROLE = "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor"


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


@pytest.fixture
def admin(own_server: ScratchServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A superuser's connection to a private server that is set up well, with the role pgvigil."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(ROLE)
        yield connection


def run(server: ScratchServer, *statements: str) -> None:
    """As superuser, several statements to a line as well."""
    with psycopg.connect(server.dsn(), autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for statement in statements:
            for part in statement.split("; "):
                connection.execute(part)


def test_a_server_that_is_set_up_well_has_no_problem(
    doctor: Doctor, own_server: ScratchServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    """As the role of the grants; the report says what was looked at."""
    admin.execute("ALTER ROLE pgvigil CONNECTION LIMIT 5")
    ran = doctor.run(doctor.write(own_server.dsn(user="pgvigil"), more=CONSOLE))
    assert (ran.returncode, ran.stderr) == (codes.OK, "")
    assert "shop: 18 checks, no problem\n  ok: connection, connection limit, pg_monitor" in ran.stdout
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
    assert found.problems.keys() == {"extension-not-preloaded", "extension-missing", "rule-cannot-fire"}
    assert "slow_query cannot fire" in found.problems["rule-cannot-fire"].sentence
    run(server, found.problems["extension-not-preloaded"].fix)
    server.restart()
    found = doctor.look(file)
    assert found.problems.keys() == {"extension-missing", "rule-cannot-fire"}
    run(server, found.problems["extension-missing"].fix)
    found = doctor.look(file)
    assert (found.problems, found.unseen) == ({}, {})


def test_created_and_not_loaded(doctor: Doctor, start_server: StartServer) -> None:
    server = start_server(preload=())
    run(server, "CREATE EXTENSION pg_stat_statements")
    found = doctor.look(doctor.write(server.dsn()))
    assert found.problems.keys() == {"extension-not-preloaded", "rule-cannot-fire"}
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
        "rule-cannot-fire",
    }
    blind = {
        problem.sentence
        for each in found.checks
        for problem in each.problems
        if problem.slug == "rule-cannot-fire"
    }
    assert "shop: slow_query cannot fire, because of privilege-missing." in blind
    run(
        own_server,
        *(found.problems[slug].fix for slug in sorted(found.problems) if slug != "rule-cannot-fire"),
    )
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


# --- the command ------------------------------------------------------------------------------------------


def test_a_target_that_cannot_be_reached_is_unknown_and_the_others_are_told(
    doctor: Doctor, own_server: ScratchServer
) -> None:
    gone = '[[targets]]\nname = "gone"\ndsn = "host=127.0.0.1 port=1"\n'
    file = doctor.write(own_server.dsn(), more=gone + CONSOLE)
    exit_code, told = doctor.told(file)
    assert exit_code == codes.UNKNOWN
    assert {problem["slug"] for problem in told["problems"]} == {"extension-missing", "rule-cannot-fire"}
    unreachable = next(each for each in told["not_checked"] if each["target"] == "gone")
    assert unreachable["check"] == "connection"
    assert "refused" in unreachable["reason"]
    assert doctor.told(file, "--target", "shop")[0] == codes.WARNING
    exit_code, told = doctor.told(file, "--target", "gone")
    assert (exit_code, told["problems"], told["checked"]) == (codes.UNKNOWN, [], [])


def test_a_database_that_cannot_be_visited_is_a_gap_whatever_else_is_wrong(
    doctor: Doctor, own_server: ScratchServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    """pg_hba.conf has nothing to do with privileges: no problem that is listed accounts for it."""
    admin.execute("CREATE DATABASE walled")
    hba = own_server.data / "pg_hba.conf"
    hba.write_text("host walled pgvigil 127.0.0.1/32 reject\n" + hba.read_text())
    admin.execute("SELECT pg_reload_conf()")
    admin.execute("ALTER ROLE pgvigil CONNECTION LIMIT 2")
    exit_code, told = doctor.told(doctor.write(own_server.dsn(user="pgvigil"), more=CONSOLE))
    assert exit_code == codes.UNKNOWN
    assert [problem["slug"] for problem in told["problems"]] == ["connection-limit-small"]
    assert [each["check"] for each in told["not_checked"]] == ["everything in database walled"]


def test_what_was_switched_off_is_not_said_to_be_well(doctor: Doctor, own_server: ScratchServer) -> None:
    off = "".join(f"[collectors.{name}]\nenabled = false\n" for name in ("settings", "statements"))
    _, told = doctor.told(doctor.write(own_server.dsn(), more=off + CONSOLE), "--target", "shop")
    unseen = {each["check"] for each in told["not_checked"]}
    assert {"track_io_timing", "pg_stat_statements.max", "texts of statements"} <= unseen
    assert {each["check"] for each in told["checked"]}.isdisjoint(unseen)
    assert (
        doctor.run(doctor.write(own_server.dsn(), more=off + CONSOLE), "--target", "shop").returncode
        == codes.OK
    )


def test_a_frozen_server_is_given_up_in_time(doctor: Doctor, own_server: ScratchServer) -> None:
    file = doctor.write(own_server.dsn(), more=CONSOLE)
    own_server.sigstop()
    try:
        ran = doctor.run(file)
    finally:
        own_server.sigcont()
    assert ran.returncode == codes.UNKNOWN
    assert "could not look at connection" in ran.stdout


def test_the_configuration_and_its_routes(doctor: Doctor, own_server: ScratchServer) -> None:
    more = "[collectors.statements]\nenabled = false\n" + CONSOLE + '[sinks.unheard]\nkind = "console"\n'
    more += '[[routes]]\nmatch = { severity = "criticl" }\nsinks = ["here"]\n'
    found = doctor.look(doctor.write(own_server.dsn(), more=more), own=True)
    assert found.problems.keys() == {
        "no-catch-all-route",
        "route-matches-nothing",
        "rule-cannot-fire",
        "sink-without-route",
    }


def test_a_file_that_cannot_be_used_is_an_error_of_set_up(doctor: Doctor) -> None:
    file = doctor.write("host=db1 sslmod=require")
    ran = doctor.run(file)
    assert ran.returncode == codes.SETUP
    assert 'did you mean "sslmode"?' in ran.stderr
    exit_code, told = doctor.told(file)
    assert exit_code == codes.SETUP
    [problem] = told["problems"]
    assert problem["slug"] == "config-error"
    assert 'did you mean "sslmode"?' in problem["sentence"]


def test_what_keeps_the_daemon_from_running_is_an_error_of_set_up(
    doctor: Doctor, own_server: ScratchServer
) -> None:
    file = doctor.write(own_server.dsn(), more=CONSOLE)
    nowhere = file.read_text().replace(
        f"{doctor.directory}/pgvigil.db", f"{doctor.directory}/gone/pgvigil.db"
    )
    file.write_text(nowhere)
    exit_code, told = doctor.told(file)
    assert exit_code == codes.SETUP
    assert "store-unwritable" in {problem["slug"] for problem in told["problems"]}
    assert not (doctor.directory / "gone").exists()


def test_it_does_not_mind_a_daemon_that_runs_and_leaves_no_trace_where_none_ever_ran(
    tmp_path: Path, own_server: ScratchServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    admin.execute("ALTER ROLE pgvigil CONNECTION LIMIT 5")
    target = f'[[targets]]\nname = "shop"\ndsn = {json.dumps(own_server.dsn(user="pgvigil"))}\n'
    doctor = Doctor(tmp_path)
    file = doctor.write(own_server.dsn(user="pgvigil"), more=CONSOLE)
    assert doctor.run(file).returncode == codes.OK
    assert list(tmp_path.iterdir()) == [file]
    with running_daemon(tmp_path, target + CONSOLE) as daemon:
        port = daemon.url.rpartition(":")[2]
        busy = daemon.config.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"')
        daemon.config.write_text(busy)
        assert doctor.run(daemon.config).returncode == codes.OK, "its own port is not taken by a stranger"
        assert daemon.process.poll() is None
    exit_code, told = doctor.told(daemon.config)
    assert (exit_code, told["problems"]) == (codes.OK, []), "the daemon is gone, and its port with it"


def test_a_port_that_a_stranger_has(doctor: Doctor, own_server: ScratchServer) -> None:
    file = doctor.write(own_server.dsn(), more=CONSOLE)
    file.write_text(file.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{own_server.port}"'))
    exit_code, told = doctor.told(file)
    assert exit_code == codes.SETUP
    assert "listen-failed" in {problem["slug"] for problem in told["problems"]}


def test_slack(doctor: Doctor, own_server: ScratchServer, slack: FakeSlack) -> None:
    """A scope that is missing, and a channel that the bot is not in; nothing is sent."""
    run(own_server, "CREATE EXTENSION pg_stat_statements")
    (doctor.directory / "token").write_text(slack.token)
    sink = f'[sinks.oncall]\nkind = "slack"\ntoken_file = "token"\nchannel = "#db-oncall"\nbase_url = "{slack.url}"\n'
    file = doctor.write(own_server.dsn(), more=sink)
    assert doctor.told(file)[0] == codes.OK
    slack.workspace.scopes -= {"channels:history"}
    slack.channel().is_member = False
    exit_code, told = doctor.told(file)
    assert exit_code == codes.WARNING
    assert [problem["slug"] for problem in told["problems"]] == [
        "slack-scope-missing",
        "slack-not-in-channel",
    ]
    slack.revoked.add(slack.token)
    assert [problem["slug"] for problem in doctor.told(file)[1]["problems"]] == ["slack-token-invalid"]
    slack.stop()
    exit_code, told = doctor.told(file)
    assert (exit_code, told["problems"]) == (codes.UNKNOWN, [])
    assert [each["check"] for each in told["not_checked"]] == ["sink oncall"]
    assert slack.messages() == ()
