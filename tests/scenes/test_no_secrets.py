"""Secrets are used, and literals pass through, and neither comes out anywhere: not even in the log at debug."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import ROOT, RunningDaemon, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.network import closed_port
from tests.support.polling import poll
from tests.support.secrets import SECRETS, leaks
from tests.support.servers import StartServer

ADMIN = "admin-planted-6d6d"
REVOKED = "xoxb-161803398874-9999-ReVoKeDpLaNtEd"
CARD = "4929123412341234"
NAME = "Ada-Planted-Lovelace"
ROLES = {
    name: SECRETS[name] for name in ("dsn password", "dsn url password", "password file", "password command")
}

CONFIG = """
[metrics]
push_url = "http://pusher:{push}@127.0.0.1:{closed}"

[[targets]]
name = "pairs"
dsn = "host=127.0.0.1 port={port} dbname=shop user='dsn password' password={pairs}"
[[targets]]
name = "url"
dsn = "postgresql://dsn%20url%20password:{url}@127.0.0.1:{port}/shop"
[[targets]]
name = "file"
dsn = "host=127.0.0.1 port={port} dbname=shop user='password file'"
password_file = "password_file"
[[targets]]
name = "command"
dsn = "host=127.0.0.1 port={port} dbname=shop user='password command'"
password_command = ["cat", "{directory}/password_command"]
[[targets]]
name = "wrong"
dsn = "postgresql://dsn%20password:{url}@127.0.0.1:{port}/shop"

[collectors.lock_waits]
interval = "1s"
[collectors.statements]
interval = "1s"
[rules.target_down]
for = "0s"
[rules.blocking_chain]
warning = "1s"
[rules.long_transaction]
warning = "1s"
[rules.slow_query]
warning = "100ms"
clear = "50ms"
for = "3s"
min_calls = 1
min_share = 0

[sinks.bot]
kind = "slack"
token_file = "slack_token"
channel = "#db-oncall"
base_url = "{slack}"
[sinks.revoked]
kind = "slack"
token_file = "revoked_token"
channel = "#db-oncall"
base_url = "{slack}"
[sinks.hook]
kind = "slack"
webhook_url_file = "webhook_url"
[sinks.terminal]
kind = "console"
"""


def furnish(server: ScratchServer) -> None:
    """Roles that are named like the secrets that they log in with, and a table with a customer in it."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
    with psycopg.connect(server.dsn("shop"), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute("CREATE TABLE payments (id int PRIMARY KEY, card text)")
        admin.execute("INSERT INTO payments VALUES (1, %s)", [CARD])
        for role, password in ROLES.items():
            made = sql.SQL("CREATE ROLE {} LOGIN IN ROLE pg_monitor PASSWORD {}")
            admin.execute(made.format(sql.Identifier(role), password))


def configuration(server: ScratchServer, slack: FakeSlack, directory: Path) -> str:
    hook = urlsplit(slack.webhook_url)._replace(path=urlsplit(SECRETS["webhook url"]).path).geturl()
    files = {
        name: SECRETS[name] for name in ("password file", "password command", "slack token", "api token")
    }
    for name, secret in {**files, "webhook url": hook, "revoked token": REVOKED}.items():
        (directory / name.replace(" ", "_")).write_text(secret + "\n", encoding="utf-8")
    return CONFIG.format(
        push=SECRETS["push password"],
        closed=closed_port(),
        port=server.port,
        pairs=SECRETS["dsn password"],
        url=quote(SECRETS["dsn url password"], safe=""),
        directory=directory,
        slack=slack.url,
    )


@contextmanager
def trouble(server: ScratchServer) -> Iterator[str]:
    """Sessions with data in their statements: one holds a lock, one waits. Yields what to run slowly."""
    whoever = make_conninfo(server.dsn("shop"), application_name="billing")
    holds = f"UPDATE payments SET card = '{CARD}' WHERE id = 1 /* {NAME} */"
    waits = (
        f"UPDATE payments SET card = $q${NAME}$q$ WHERE card = '{CARD}' AND id = {CARD[:9]}::int OR id = 1"
    )
    with (
        idle_in_transaction(whoever, holds, application_name="billing"),
        blocked_session(whoever, waits, application_name="billing"),
    ):
        yield f"DO $$ BEGIN PERFORM pg_sleep(0.2), '{CARD}', E'{NAME}'; END $$"


def commands(daemon: RunningDaemon) -> str:
    """What the command line says on both of its streams."""
    said = []
    for command in (
        "config check",
        "config check --json",
        "rules list",
        "incidents list --all",
        "incidents list --all --json",
        "incidents show 1",
        "incidents show 1 --json",
        "notify test",
        "notify test --json",
        "doctor",
        "doctor --json",
    ):
        where = [] if command.startswith("rules") else ["-c", str(daemon.config)]
        done = subprocess.run(
            [sys.executable, "-m", "daemon", "--debug", *command.split(), *where],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=daemon.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"},
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout + done.stderr
        said.append(done.stdout + done.stderr)
    return "\n".join(said)


def endpoints(daemon: RunningDaemon) -> str:
    paths = (
        "targets",
        "incidents",
        "incidents/INC-1",
        "statements",
        "problems",
        "incidents?state=open",
        "nothing",
    )
    return "\n".join(daemon.get(path)[1] for path in ("/", "/metrics", *(f"/api/v1/{one}" for one in paths)))


def test_what_is_secret_is_used_and_never_shown(start_server: StartServer, tmp_path: Path) -> None:
    """Four targets that work, each by another way to its password, one that fails, and sinks of both sorts."""
    server = start_server(password=ADMIN)
    furnish(server)
    environment = {
        "PGVIGIL_DAEMON__LOG_LEVEL": "debug",
        "PGVIGIL_DAEMON__STORM_AT": "0",  # each message by itself, however close together they come
        "PGVIGIL_DAEMON__API_TOKEN_FILE": str(tmp_path / "api_token"),
        "NO_PROXY": "127.0.0.1",
    }
    with (
        FakeSlack(token=SECRETS["slack token"]) as slack,
        running_daemon(tmp_path, configuration(server, slack, tmp_path), environment) as daemon,
    ):
        assert daemon.get("/api/v1/targets")[0] == 401
        daemon.token = SECRETS["api token"]
        with trouble(server) as slow:
            poll(lambda: everything_happened(daemon, server, slow, slack), 60, message="all of it happened")
            outward = {"http": endpoints(daemon), "commands": commands(daemon)}
        poll(lambda: daemon.events("push_failed"), 30)
        assert daemon.stop() == 0
        outward["log"] = daemon.log.read_text(encoding="utf-8")
        outward["slack"] = json.dumps(slack.messages()) + "\n".join(map(as_text, slack.messages()))
    outward["store"] = b"".join(file.read_bytes() for file in tmp_path.glob("pgvigil.db*")).decode("latin-1")
    for place, text in outward.items():
        found = [*leaks(text), *(word for word in (ADMIN, REVOKED, CARD, CARD[:9], NAME) if word in text)]
        assert (place, found) == (place, [])
    assert "billing" in outward["store"]
    assert "UPDATE payments SET card" in outward["slack"]


def everything_happened(daemon: RunningDaemon, server: ScratchServer, slow: str, slack: FakeSlack) -> bool:
    with psycopg.connect(server.dsn("shop"), autocommit=True) as connection:
        connection.execute(slow)
        connection.execute(f"SELECT pg_sleep(0.2), '{CARD}', 'x{NAME}'")
    up = [one for one in ("pairs", "url", "file", "command") if daemon.target(one)["up"]]
    failing = daemon.target("wrong")["failure"]
    outcomes = {
        name: daemon.metric(f'pgvigil_outbox_parked{{sink="{name}"}}') for name in ("revoked", "hook")
    }
    rules = {one["rule"] for one in daemon.incidents(state="firing")}
    return (
        len(up) == 4
        and failing is not None
        and failing["kind"] == "authentication"
        and all(outcomes.values())
        and {"target_down", "blocking_chain", "slow_query"} <= rules
        and any("pg_sleep" in as_text(root) for root in slack.roots())
        and any("UPDATE payments" in as_text(root) for root in slack.roots())
    )
