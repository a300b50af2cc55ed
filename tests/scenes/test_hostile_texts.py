"""Names and statements chosen by an enemy, from a real server to everything that shows them."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from psycopg.conninfo import make_conninfo

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text, links, mentions, styled
from pgvigil.scratch.server import ScratchServer
from pgvigil.text import is_printable
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import server_starter

DATABASE = 'd"b\n<!channel> *b* `c`\u202e\x1b[31m'
ROLE = "r\"o'le <!here>\x07🐘"
APPLICATION = "<!channel> *bold* `code` <script>alert(1)</script>"
DROP = 'we"ird; drop'
SCRIPT = "<script>alert('x')</script>\u2066\u202e_i_ ```"
LONG = "🐘" * 15 + "abc"  # 63 bytes
CONSTRAINT = 'c"k\r\n`x` <!channel>\u200b\x1b[2J'
PARTITIONED = sql.Identifier("p\"t'\u202e\\")
SECRET_NUMBER = "4929123412341234"
HUGE_CHARS = 5_000_000

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.lock_waits]
interval = "1s"
[collectors.statements]
interval = "1s"
[collectors.constraints]
interval = "2s"

[rules.blocking_chain]
warning = "1s"
keep_firing_for = "0s"
[rules.idle_in_transaction]
warning = "1s"
clear = "1s"
[rules.slow_query]
warning = "100ms"
clear = "50ms"
for = "3s"
min_calls = 1
min_share = 0
[rules.constraint_not_valid]
for = "0s"
[rules.invalid_index]
for = "0s"
{sink}[sinks.terminal]
kind = "console"
"""


@dataclass
class Scene:
    """A server full of hostile names, and what it says of them in each place."""

    server: ScratchServer
    slack: FakeSlack
    daemon: RunningDaemon

    def dsn(self, **parameters: str) -> str:
        return make_conninfo(self.server.dsn(), dbname=DATABASE, **parameters)

    def about(self, rule: str, *words: str) -> list[dict[str, Any]]:
        """The firing incidents of `rule` whose account holds all the words."""
        found = self.daemon.incidents(rule, "firing")
        return [one for one in found if all(word in json.dumps(one, ensure_ascii=False) for word in words)]


def furnish(server: ScratchServer) -> None:
    """Hostile databases, one of them SQL_ASCII with a hostile name of invalid UTF-8, and their objects."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN").format(sql.Identifier(ROLE)))
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        admin.execute(
            "CREATE DATABASE bytes ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    with psycopg.connect(make_conninfo(server.dsn(), dbname=DATABASE), autocommit=True) as owner:
        for table in (DROP, SCRIPT, LONG):
            made = sql.Identifier(table)
            owner.execute(sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, v int)").format(made))
            owner.execute(sql.SQL("INSERT INTO {} SELECT i, 1 FROM generate_series(1, 3) i").format(made))
            unproven = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK (v > 0) NOT VALID")
            owner.execute(unproven.format(made, sql.Identifier(CONSTRAINT)))
            index = sql.SQL("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} (v)")
            with pytest.raises(psycopg.errors.UniqueViolation):
                owner.execute(index.format(sql.Identifier(f"i {table}"[:30]), made))
        owner.execute(sql.SQL("CREATE TABLE {} (v int) PARTITION BY LIST (v)").format(PARTITIONED))
        owner.execute(sql.SQL("CREATE TABLE part PARTITION OF {} DEFAULT").format(PARTITIONED))
        owner.execute(
            sql.SQL("CREATE INDEX {} ON ONLY {} (v)").format(sql.Identifier("pi\u202e'"), PARTITIONED)
        )
    with untracked(server) as raw:
        for statement in (
            b'CREATE TABLE "t\xff\xfe <!channel>" (v int)',
            b'CREATE TABLE "k\xff" (v int)',
            b'ALTER TABLE "t\xff\xfe <!channel>" ADD CONSTRAINT "c\xc3(" CHECK (v > 0) NOT VALID',
            b'CREATE DATABASE "n\xff"',
            b'CREATE DATABASE "n\xfe"',
        ):
            assert raw.exec_(statement).error_message == b""


@contextmanager
def untracked(server: ScratchServer) -> Iterator[psycopg.pq.PGconn]:
    """A session in the SQL_ASCII database. pg_stat_statements cannot show any text while it holds one of these."""
    with closing(psycopg.connect(server.dsn("bytes"), autocommit=True)) as connection:
        connection.execute("SET pg_stat_statements.track = 'none'")
        yield connection.pgconn


@contextmanager
def wait_in_bytes(server: ScratchServer) -> Iterator[None]:
    """One session waits for another, and the statements of both end within a character of UTF-8."""
    with untracked(server) as root, untracked(server) as waiter:
        root.exec_(b'BEGIN; LOCK TABLE "k\xff" -- \xe9')
        waiter.send_query(b'SELECT count(*) FROM "k\xff" -- \xe9')
        yield


@contextmanager
def played(tmp_path: Path) -> Iterator[Scene]:
    with server_starter() as start, FakeSlack() as slack:
        server = start(settings={"track_activity_query_size": "1048576", "max_connections": "40"})
        furnish(server)
        config = CONFIG.format(dsn=server.dsn(), sink=oncall.sink(slack, tmp_path))
        with running_daemon(tmp_path, config, {"NO_PROXY": "127.0.0.1"}) as daemon:
            yield Scene(server, slack, daemon)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything has happened, every incident is told, and nothing has resolved yet."""
    with played(tmp_path_factory.mktemp("hostile")) as scene, ExitStack() as trouble:
        table = sql.Identifier(DROP)
        holds = sql.SQL("UPDATE {} SET v = 1 WHERE id = 1").format(table).as_string()
        padding = f"/* <!channel> ``` {'x' * HUGE_CHARS} */"
        numbers = ",".join(str(n) for n in range(HUGE_CHARS // 8, HUGE_CHARS // 8 + HUGE_CHARS // 7))
        waits = sql.SQL("UPDATE {} SET v = 1 WHERE v NOT IN (").format(table).as_string()
        whoever = scene.dsn(user=ROLE, application_name=APPLICATION)
        trouble.enter_context(idle_in_transaction(whoever, holds, application_name=APPLICATION))
        trouble.enter_context(wait_in_bytes(scene.server))
        trouble.enter_context(
            blocked_session(
                whoever, f"{waits}{SECRET_NUMBER},{numbers})", application_name=APPLICATION, deadline_s=60
            )
        )

        def told() -> bool:
            run_slowly(whoever, padding)
            return (
                len(scene.about("constraint_not_valid")) == 4
                and len(scene.about("invalid_index")) == 4
                and len(scene.about("blocking_chain")) == 2
                and bool(scene.about("slow_query", "pg_sleep"))
                and scene.daemon.metric('pgvigil_outbox_pending{sink="oncall"}') == 0
            )

        poll(told, 40, message="all incidents are told", interval_s=0.2)
        yield scene


def run_slowly(dsn: str, padding: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as slow:
        slow.execute(f"SELECT pg_sleep(0.3) {padding}, '{SECRET_NUMBER}' AS \"<!channel> `a`\"")


def unprintable(text: str) -> set[str]:
    return {char for char in text if char != "\n" and not is_printable(char)}


def test_slack_takes_every_message_as_it_is_and_none_is_alive(scene: Scene) -> None:
    """No message needed a simpler form; nobody is mentioned, nothing can be clicked or changes the style."""
    outcomes = {call.outcome for call in scene.slack.calls if call.method.startswith("chat.")}
    assert outcomes == {"ok"}
    for message in scene.slack.messages():
        print(as_text(message))
        assert mentions(message) == ()
        assert links(message) == ()
        assert all(style.startswith("*") for style in styled(message))
        assert unprintable(as_text(message)) == set()
        assert len(json.dumps(message, ensure_ascii=False)) < 40_000


def test_metrics_are_parsed_and_no_sample_is_told_twice(scene: Scene) -> None:
    status, text = scene.daemon.get("/metrics")
    assert status == 200
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples))
    assert any(dict(labels).get("database") == DATABASE for _, labels in samples)


def test_the_api_gives_the_names_as_they_are(scene: Scene) -> None:
    assert DATABASE in scene.daemon.target("shop")["databases"]
    assert {one["database"] for one in scene.about("blocking_chain")} == {DATABASE, "bytes"}
    size = len(scene.daemon.get("/api/v1/incidents")[1])
    assert size < 1_000_000


def test_a_database_whose_name_is_no_utf8_is_not_covered_and_said(scene: Scene) -> None:
    assert [
        name for name in scene.daemon.target("shop")["not_covered"] if "\N{REPLACEMENT CHARACTER}" in name
    ]


def test_the_page_runs_nothing_and_hides_nothing(scene: Scene) -> None:
    status, page = scene.daemon.get("/")
    assert status == 200
    (script,) = re.findall("<script[^>]*>", page)
    assert re.fullmatch(r'<script src="static/[0-9a-f]+/refresh.js" defer>', script)
    assert "&lt;script&gt;" in page
    assert unprintable(page) == set()


def test_log_and_console_stay_in_their_lines(scene: Scene) -> None:
    """What is JSON is whole; nothing moves the cursor or reorders the line."""
    text = scene.daemon.log.read_bytes().decode("utf-8")
    assert unprintable(text) == set()
    assert not any(json.loads(line)["level"] == "error" for line in text.splitlines() if line.startswith("{"))
    assert "Do this:" in text
    assert len(text) < 2_000_000


def test_a_huge_statement_is_nowhere_whole_and_its_literals_nowhere_at_all(scene: Scene) -> None:
    daemon = scene.daemon
    stored = b"".join(file.read_bytes() for file in daemon.directory.glob("pgvigil.db*"))
    assert len(stored) < 10_000_000
    shown = [daemon.get(path)[1] for path in ("/api/v1/incidents", "/api/v1/statements", "/", "/metrics")]
    shown += [json.dumps(message) for message in scene.slack.messages()]
    for text in (*shown, daemon.log.read_text(encoding="utf-8"), stored.decode("latin-1")):
        assert SECRET_NUMBER not in text
        assert "x" * 10_000 not in text


def test_each_suggested_step_does_what_it_says_and_nothing_else(scene: Scene) -> None:
    """Every constraint is validated and every invalid index dropped by the text as it stands; the tables stay."""
    steps = [steps_of(one)[0] for one in scene.about("constraint_not_valid") if one["database"] == DATABASE]
    busy = "i we"  # a transaction is open on its table, and DROP INDEX CONCURRENTLY waits for that
    invalid = [one for one in scene.about("invalid_index") if busy not in one["subject"]]
    (parent,) = (one for one in invalid if "pi" in one["subject"])
    steps += [steps_of(one)[-1] for one in invalid if one is not parent]
    assert len(steps) == 5
    with psycopg.connect(scene.dsn(), autocommit=True) as owner:
        for step in steps:
            print(step)
            assert owner.pgconn.exec_(step.encode()).error_message == b""
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        unproven = "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"
        assert owner.execute(unproven).fetchone() == (0,)
        assert owner.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (2,)
        assert owner.execute(tables).fetchone() == (5,)
        assert owner.pgconn.exec_(steps_of(parent)[0].encode()).get_value(0, 0) == b"part"


def steps_of(incident: dict[str, Any]) -> list[str]:
    return [action["sql"] for action in incident["actions"] if action["sql"]]


def test_statements_without_a_text_are_judged_and_it_is_said(scene: Scene) -> None:
    """One text of any bytes keeps pg_stat_statements from showing a single one."""

    def fired() -> list[dict[str, Any]]:
        with closing(psycopg.connect(scene.server.dsn("bytes"), autocommit=True)) as raw:
            raw.pgconn.exec_(b'SELECT pg_sleep(0.3) AS "\xff"')
        return [one for one in scene.about("slow_query") if one["database"] == "bytes"]

    (found,) = poll(fired, 30)
    assert "its text is not known yet" in found["summary"]
    assert scene.daemon.events("texts_not_read")
