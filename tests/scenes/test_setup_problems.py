"""What people must mend is said once while the daemon runs, shown everywhere, and gone when it is mended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import time_machine

from daemon.demo.fake_slack import FakeSlack
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import Api, InProcessDaemon, daemon_in_process, running_daemon
from tests.support.polling import poll
from tests.support.servers import StartServer

QUICK = '[collectors.settings]\ninterval = "1s"\n[collectors.statements]\ninterval = "1s"\n'
CONSOLE = '[sinks.here]\nkind = "console"\n'


def target(server: ScratchServer, user: str = "postgres") -> str:
    return f'[[targets]]\nname = "shop"\ndsn = {json.dumps(server.dsn(user=user))}\n'


def run(server: ScratchServer, *statements: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement)


def told(daemon: Api) -> list[tuple[str, str | None]]:
    """What the API says, by slug and target."""
    problems = json.loads(daemon.get("/api/v1/problems")[1])["problems"]
    return sorted((problem["slug"], problem["target"]) for problem in problems)


def said(daemon: InProcessDaemon, slug: str) -> int:
    """How often the log says it."""
    return sum(event["slug"] == slug for event in daemon.events("setup_problem"))


def metric(daemon: Api, slug: str, target: str = "shop") -> float | None:
    return daemon.metric(f'pgvigil_setup_problems{{slug="{slug}",target="{target}"}}')


def test_a_setting_is_said_once_and_gone_with_the_next_reading(
    start_server: StartServer, tmp_path: Path
) -> None:
    """In log, API and metrics alike, and the page shows what the API says."""
    server = start_server(settings={"track_io_timing": "off"})
    run(server, "CREATE EXTENSION pg_stat_statements")
    with daemon_in_process(tmp_path, target(server) + QUICK + CONSOLE) as daemon:
        poll(lambda: told(daemon) == [("track-io-timing-off", "shop")], 20)
        assert metric(daemon, "track-io-timing-off") == 1
        assert "track_io_timing is off" in daemon.get("/")[1]
        several_readings(daemon)
        assert said(daemon, "track-io-timing-off") == 1
        run(server, "ALTER SYSTEM SET track_io_timing = on", "SELECT pg_reload_conf()")
        poll(lambda: told(daemon) == [], 20)
        assert metric(daemon, "track-io-timing-off") is None


def several_readings(daemon: InProcessDaemon) -> None:
    def read() -> int:
        return sum(event["collector"] == "settings" for event in daemon.events("read"))

    before = read()
    poll(lambda: read() >= before + 3, 20)


def test_a_grant_is_noticed_on_a_living_connection(own_server: ScratchServer, tmp_path: Path) -> None:
    run(own_server, "CREATE ROLE pgvigil LOGIN", "CREATE EXTENSION pg_stat_statements")
    with daemon_in_process(tmp_path, target(own_server, "pgvigil") + QUICK + CONSOLE) as daemon:
        poll(lambda: told(daemon) == [("not-pg-monitor", "shop")], 20)
        run(own_server, "GRANT pg_monitor TO pgvigil")
        poll(lambda: told(daemon) == [], 20)
        assert said(daemon, "not-pg-monitor") == 1


def test_a_closed_database_is_said_with_its_grant(own_server: ScratchServer, tmp_path: Path) -> None:
    run(
        own_server,
        "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor",
        "CREATE EXTENSION pg_stat_statements",
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
    )
    with running_daemon(tmp_path, target(own_server, "pgvigil") + CONSOLE) as daemon:
        poll(lambda: told(daemon) == [("connect-missing", "shop")], 20)


def test_churn_is_told_with_its_rate(start_server: StartServer, tmp_path: Path) -> None:
    """The figure moves with each reading; it is said once all the same."""
    server = start_server(settings={"pg_stat_statements.max": "100"})
    run(server, "CREATE EXTENSION pg_stat_statements", *(f"LISTEN channel_{n}" for n in range(300)))
    with daemon_in_process(tmp_path, target(server) + QUICK + CONSOLE) as daemon:
        poll(lambda: told(daemon) == [("pg-stat-statements-max-small", "shop")], 20)
        before = daemon.get("/api/v1/problems")[1]
        run(server, *(f"LISTEN other_{n}" for n in range(300)))
        poll(lambda: daemon.get("/api/v1/problems")[1] != before, 20, message="the rate follows")
        assert said(daemon, "pg-stat-statements-max-small") == 1


def test_texts_that_the_database_cannot_show(own_server: ScratchServer, tmp_path: Path) -> None:
    """A statement with a euro sign, asked for in a database whose encoding has none; figures go on."""
    run(own_server, "CREATE DATABASE old ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with psycopg.connect(own_server.dsn("old"), autocommit=True) as old:
        old.execute("CREATE EXTENSION pg_stat_statements")
    config = f'[[targets]]\nname = "shop"\ndsn = {json.dumps(own_server.dsn("old"))}\ndatabases = ["old"]\n'
    with daemon_in_process(tmp_path, config + QUICK + CONSOLE) as daemon:

        def told_of_euros() -> bool:
            run(own_server, 'SELECT 1 AS "€"')
            return told(daemon) == [("statement-texts-unreadable", "shop")]

        poll(told_of_euros, 20, interval_s=0.2)
        several_readings(daemon)
        assert said(daemon, "statement-texts-unreadable") == 1
        assert (daemon.collector("shop", "statements") or {})["failure"] is None


def test_clocks_that_disagree_and_agree_again(own_server: ScratchServer, tmp_path: Path) -> None:
    run(own_server, "CREATE EXTENSION pg_stat_statements")
    with daemon_in_process(tmp_path, target(own_server) + QUICK + CONSOLE) as daemon:
        several_readings(daemon)
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5), tick=True):
            poll(lambda: told(daemon) == [("clock-skew", "shop")], 20)
        poll(lambda: told(daemon) == [], 20)


@contextmanager
def with_slack(server: ScratchServer, slack: FakeSlack, directory: Path) -> Iterator[InProcessDaemon]:
    run(server, "CREATE EXTENSION pg_stat_statements")
    (directory / "token").write_text(slack.token)
    sink = f'[sinks.oncall]\nkind = "slack"\ntoken_file = "token"\nchannel = "#db-oncall"\nbase_url = "{slack.url}"\n'
    with daemon_in_process(directory, target(server) + QUICK + sink) as daemon:
        yield daemon


def test_what_a_sink_says_of_its_set_up_has_no_target(
    own_server: ScratchServer, slack: FakeSlack, tmp_path: Path
) -> None:
    slack.channel().is_member = False
    with with_slack(own_server, slack, tmp_path) as daemon:
        poll(lambda: told(daemon) == [("slack-not-in-channel", None)], 20)
        assert metric(daemon, "slack-not-in-channel", "") == 1
        assert said(daemon, "slack-not-in-channel") == 1


def test_the_configuration_is_asked_again_at_a_reload(own_server: ScratchServer, tmp_path: Path) -> None:
    """A route that matches nothing, and a rule whose collector is off; both mended by the next file."""
    run(own_server, "CREATE EXTENSION pg_stat_statements")
    wrong = '[collectors.lock_waits]\nenabled = false\n[[routes]]\nsinks = ["here"]\n'
    wrong += '[[routes]]\nmatch = { rule = "blocking_chian" }\nsinks = ["here"]\n'
    with running_daemon(tmp_path, target(own_server) + CONSOLE + wrong) as daemon:
        both = [("route-matches-nothing", None), ("rule-cannot-fire", None)]
        poll(lambda: told(daemon) == both, 20)
        assert metric(daemon, "route-matches-nothing", "") == 1
        daemon.reload(target(own_server) + CONSOLE)
        poll(lambda: told(daemon) == [], 20)


def test_a_target_without_a_problem_shows_none(own_server: ScratchServer, tmp_path: Path) -> None:
    run(own_server, "CREATE EXTENSION pg_stat_statements")
    with daemon_in_process(tmp_path, target(own_server) + QUICK + CONSOLE) as daemon:
        several_readings(daemon)
        assert told(daemon) == []
        assert "pgvigil_setup_problems" not in daemon.get("/metrics")[1]
