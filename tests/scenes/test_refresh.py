"""Somebody asks for fresh evidence: it is read now, and the message shows when."""

import re
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from daemon.cli import codes, main
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.proxy import proxied
from tests.support.servers import Database

RULE = "idle_in_transaction"


def test_a_message_shows_what_is_read_now_and_says_when_nothing_can_be(
    database: Database,
    slack: FakeSlack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The collector reads each hour. Asked twice at once, or of a server that is away, people hear why not."""
    monkeypatch.setenv("PGVIGIL_TOKEN", oncall.TOKEN)
    config = oncall.idle_sessions(database) + oncall.sink(slack, tmp_path) + oncall.ana("read", "act")
    config = config.replace('interval = "1s"', 'interval = "1h"')

    def refresh(name: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["incidents", "refresh", name, "--url", daemon.url])
        return code, capsys.readouterr().out.strip()

    port = int(conninfo_to_dict(database.dsn())["port"] or 5432)
    with idle_in_transaction(database.dsn(), "SELECT 1"), proxied(port) as link:
        config = config.replace(database.dsn(), make_conninfo(database.dsn(), port=str(link.port)))
        with running_daemon(tmp_path, config) as daemon:
            fired = daemon.wait_incident(RULE, "firing")
            poll(slack.roots, 20, message="it was posted")
            assert refresh(fired["id"]) == (
                codes.OK,
                f"{fired['id']} is read again now; whatever that shows is in its messages in a moment",
            )
            poll(lambda: slack.calls_of("chat.update"), 20, message="the message is edited")
            assert daemon.incident(fired["id"])["last_true_at"] > fired["last_true_at"]
            assert "evaluated" in as_text(slack.roots()[0])
            assert re.fullmatch(r"shop was read \S+ ago; again in \S+", refresh(fired["id"])[1])
            assert len(slack.roots()) == 1
            link.refuse()
            link.cut()
            poll(lambda: not daemon.target("shop")["up"], 20, message="the server is away")
            poll(
                lambda: refresh(fired["id"])[1].startswith(
                    f"{fired['id']} cannot be read again: shop does not"
                ),
                20,
                message="it says why not",
            )
            assert refresh(fired["id"])[0] == codes.WARNING
