"""Maintenance that somebody says in the target itself."""

import json
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from daemon.cli import codes, main
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database

RULE = "idle_in_transaction"


def marked(config: str, by: str, roles: str = "*") -> str:
    return config.replace('name = "shop"', f'name = "shop"\nmarks = ["{by}"]\nmark_roles = ["{roles}"]')


def silences(daemon: RunningDaemon) -> list[dict[str, object]]:
    return list(json.loads(daemon.get("/api/v1/silences")[1])["silences"])


def test_a_session_keeps_its_server_quiet_until_it_ends(
    database: Database, slack: FakeSlack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its application_name, and only where the role of the session may; what still fires then is told."""
    config = oncall.idle_sessions(database) + oncall.sink(slack, tmp_path)
    name = "pgvigil:maintenance reason=pg_repack"
    with psycopg.connect(database.dsn(), application_name=name, autocommit=True) as session:
        role = session.execute("SELECT current_user").fetchone()
        assert role is not None
        with running_daemon(tmp_path, marked(config, "session", role[0])) as daemon:
            poll(lambda: silences(daemon), 20, message="the mark is seen")
            with idle_in_transaction(database.dsn(), "SELECT 1"):
                fired = daemon.wait_incident(RULE, "firing")
                assert fired["silenced_by"] == "SIL-1"
                (made,) = silences(daemon)
                assert made["author"] == f"mark of {role[0]}"
                assert str(made["reason"]).startswith("pg_repack (application_name of a session in ")
                daemon.kill9()
                daemon.start_again()
                assert daemon.wait_incident(RULE, "firing")["silenced_by"] == "SIL-1"
                assert main(["incidents", "why", fired["id"], "--config", str(daemon.config)]) == codes.OK
                assert f"silenced by SIL-1, by mark of {role[0]} until" in capsys.readouterr().out
                assert slack.roots() == ()
                session.close()
                poll(slack.roots, 20, message="the mark is gone, and it still fires")
                assert "Was silenced by SIL-1" in as_text(slack.roots()[0])
                assert silences(daemon)[0]["expired_by"] == "the mark is gone"


def test_a_comment_counts_where_its_owner_may_and_as_long_as_the_configuration_says(
    database: Database, slack: FakeSlack, tmp_path: Path
) -> None:
    config = oncall.idle_sessions(database) + oncall.sink(slack, tmp_path)
    comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
    with psycopg.connect(database.dsn(), autocommit=True) as session:
        said = "the shop; pgvigil:maintenance reason=new disks"
        session.execute(comment.format(sql.Identifier(session.info.dbname), sql.Literal(said)))
    with (
        running_daemon(tmp_path, marked(config, "comment", "nobody")) as daemon,
        idle_in_transaction(database.dsn(), "SELECT 1"),
    ):
        poll(slack.roots, 20, message="the owner may not, and it is told")
        assert silences(daemon) == []
        daemon.reload(marked(config, "comment"))
        poll(lambda: "Silenced by SIL-1" in as_text(slack.roots()[0]), 20, message="the owner may")
        assert str(silences(daemon)[0]["reason"]).startswith("new disks (comment on database ")
        daemon.reload(config)
        poll(lambda: "Silenced by" not in as_text(slack.roots()[0]), 20, message="marks count no more")
