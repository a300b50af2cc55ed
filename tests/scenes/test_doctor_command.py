"""`pgvigil doctor` as a command: its exit codes, what it could not look at, and what is pgvigil's own."""

import json
from pathlib import Path

from daemon.cli import codes
from daemon.demo.fake_slack import FakeSlack
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import running_daemon
from tests.support.doctors import CONSOLE, Doctor, run

READY = ("CREATE EXTENSION pg_stat_statements", "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")


def test_a_target_that_cannot_be_reached_is_unknown_and_the_others_are_told(
    doctor: Doctor, own_server: ScratchServer
) -> None:
    gone = '[[targets]]\nname = "gone"\ndsn = "host=127.0.0.1 port=1"\n'
    file = doctor.write(own_server.dsn(), more=gone + CONSOLE)
    exit_code, told = doctor.told(file)
    assert exit_code == codes.UNKNOWN
    assert {problem["slug"] for problem in told["problems"]} == {"extension-missing"}
    unreachable = next(each for each in told["not_checked"] if each["target"] == "gone")
    assert unreachable["check"] == "connection"
    assert "refused" in unreachable["reason"]
    assert doctor.told(file, "--target", "shop")[0] == codes.WARNING
    exit_code, told = doctor.told(file, "--target", "gone")
    assert (exit_code, told["problems"], told["checked"]) == (codes.UNKNOWN, [], [])


def test_a_database_that_cannot_be_visited_is_a_gap_whatever_else_is_wrong(
    doctor: Doctor, own_server: ScratchServer
) -> None:
    """pg_hba.conf has nothing to do with privileges: no problem that is listed accounts for it."""
    run(own_server, *READY, "CREATE DATABASE walled", "ALTER ROLE pgvigil CONNECTION LIMIT 2")
    hba = own_server.data / "pg_hba.conf"
    hba.write_text("host walled pgvigil 127.0.0.1/32 reject\n" + hba.read_text())
    run(own_server, "SELECT pg_reload_conf()")
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
    assert "`pgvigil check --target " in ran.stdout


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
    tmp_path: Path, own_server: ScratchServer
) -> None:
    run(own_server, *READY, "ALTER ROLE pgvigil CONNECTION LIMIT 5")
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
