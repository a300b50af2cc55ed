"""Data that no server should give and some do: broken encodings, huge texts, names to the last byte."""

from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg import sql

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.postgres.dsn import Dsn
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.polling import poll
from tests.support.servers import StartServer

CONFIG = """
[collectors.activity]
interval = "1s"

[collectors.lock_waits]
interval = "1s"

[collectors.constraints]
interval = "2s"

[rules.idle_in_transaction]
warning = "1s"

[rules.blocking_chain]
warning = "1s"

[rules.constraint_not_valid]
for = "0s"
{sink}
[[routes]]
sinks = ["oncall"]

[[targets]]
name = "shop"
dsn = "{dsn}"
"""
LONG = "ж" * 31 + "x"  # 63 bytes, the most that a name may have
HUGE = "SELECT '" + "ü" * 2_000_000 + "'"


def test_what_cannot_be_read_as_text_is_shown_as_far_as_it_can(
    start_server: StartServer, slack: FakeSlack, tmp_path: Path
) -> None:
    """A database without an encoding, names of 63 bytes, a text of 4 MB, a role whose password never expires.

    Every collector goes on, every incident is told, and names are whole.
    """
    server = start_server(settings={"track_activity_query_size": "1MB"})
    with psycopg.connect(server.dsn(), autocommit=True) as admin, ExitStack() as stack:
        admin.execute(
            "CREATE DATABASE raw TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(LONG)))
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN VALID UNTIL 'infinity'").format(sql.Identifier(LONG)))
        with psycopg.connect(_dsn(server.dsn(), dbname=LONG), autocommit=True) as there:
            table, check = sql.Identifier(LONG), sql.Identifier(LONG[::-1])
            there.execute(sql.SQL("CREATE TABLE {} (at timestamptz)").format(table))
            there.execute(sql.SQL("INSERT INTO {} VALUES ('infinity'), ('-infinity')").format(table))
            there.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK (at > 'epoch') NOT VALID").format(
                    table, check
                )
            )
        raw = stack.enter_context(
            psycopg.connect(_dsn(server.dsn(), dbname="raw", application_name="raw"), autocommit=True)
        )
        raw.execute("SET client_encoding TO 'SQL_ASCII'")
        raw.pgconn.exec_(b"BEGIN")
        raw.pgconn.exec_(b"SELECT '\xff\xfe\xc3\x28 \x1b[31m' /* \xf0\x9f */")
        huge = stack.enter_context(psycopg.connect(_dsn(server.dsn(), dbname=LONG, user=LONG)))
        huge.execute(HUGE)  # type: ignore[call-overload]  # a literal of 4 MB
        config = CONFIG.format(dsn=server.dsn(), sink=oncall.sink(slack, tmp_path))
        daemon = stack.enter_context(running_daemon(tmp_path, config, {"NO_PROXY": "127.0.0.1"}))
        poll(lambda: len(daemon.incidents("idle_in_transaction", "firing")) == 2, 30)
        constraint = daemon.wait_incident("constraint_not_valid", "firing")
        assert constraint["database"] == LONG
        assert LONG in constraint["subject"]
        assert LONG[::-1] in constraint["subject"]
        poll(lambda: len(slack.roots()) == 3, 20)
        said = "".join(as_text(root) for root in slack.roots())
        assert "\x1b" not in said
        assert LONG in said
        failing = [one for one in daemon.target("shop")["collectors"] if one["failure"]]
        assert [one for one in failing if one["failure"]["kind"] != "missing"] == []
        assert not daemon.events("job_failed")
        assert "\\ufffd" not in constraint["subject"]


def _dsn(base: str, **changes: str) -> str:
    given = Dsn.parse(base).parameters()
    return psycopg.conninfo.make_conninfo(**{**given, **changes})
