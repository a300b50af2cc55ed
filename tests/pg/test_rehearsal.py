"""A reading of a real server, written down and played again."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.cli import codes
from daemon.rehearsal.readings import decoded, encoded, strange_keys
from daemon.settings.plugins import Plugins
from pgvigil.model.kind import TargetKind
from pgvigil.sql.redact import redact
from tests.support import watching
from tests.support.daemons import ROOT
from tests.support.locks import idle_in_transaction
from tests.support.servers import Database

COLLECTORS = {
    name: each for name, each in Plugins.installed().collectors.items() if each.fits(TargetKind.POSTGRES)
}
TEST = """
target = "shop"
only = ["idle_in_transaction"]

[rules.idle_in_transaction]
warning = "1ms"
clear = "1ms"
for = "30s"

[[tests]]
name = "a forgotten transaction"

[[tests.readings]]
rows_file = "activity.json"
times = 5

[[tests.expect]]
at = "20s"

[[tests.expect]]
at = "40s"
incidents = [{rule = "idle_in_transaction", summary = "*pid PID*"}]
"""


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_reading_comes_back_as_it_was(name: str, database: Database) -> None:
    """Of each collector, with everything in it that a fresh server has to show."""
    collector = COLLECTORS[name]
    if collector.extension:
        database.execute(f"CREATE EXTENSION {collector.extension}")
    database.execute("CREATE TABLE orders (id int, serial serial); CREATE INDEX ON orders (id)")
    with closing(watching.watch(database.dsn())) as session:
        payload = collector.read(session)
    written = json.loads(json.dumps(encoded(collector, payload)))
    again = decoded(collector, written)
    if name == "activity":  # literals of sessions' statements are not written
        hidden = tuple(one._replace(query=redact(one.query)) for one in payload.sessions)
        payload = replace(payload, sessions=hidden)
    assert name == "statements" or again == payload  # columns of numbers do not compare as one
    assert json.loads(json.dumps(encoded(collector, again))) == written
    assert list(strange_keys(written, encoded(collector, again))) == []


def pgvigil(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_was_captured_is_played_again(database: Database, tmp_path: Path) -> None:
    """The way of a user: capture what happens now, write down what should come of it, run it."""
    (tmp_path / "pgvigil.toml").write_text(
        f'[[targets]]\nname = "shop"\ndsn = {json.dumps(database.dsn())}\n', encoding="utf-8"
    )
    with idle_in_transaction(database.dsn(), "SELECT 1") as idle:
        arguments = ("--target", "shop", "--config", "pgvigil.toml")
        captured = pgvigil(tmp_path, "rules", "capture", "activity", *arguments)
    assert captured.returncode == codes.OK, captured.stderr
    (tmp_path / "activity.json").write_text(captured.stdout, encoding="utf-8")
    (tmp_path / "rules.toml").write_text(TEST.replace("PID", str(idle.pid)), encoding="utf-8")
    ran = pgvigil(tmp_path, "rules", "test", "rules.toml")
    assert (ran.returncode, ran.stdout) == (codes.OK, "ok: a forgotten transaction\n1 tests, 0 failed\n"), ran
    as_configured = pgvigil(tmp_path, "rules", "test", "rules.toml", "--config", "pgvigil.toml")
    assert as_configured.returncode == codes.WARNING
    assert "FAILED: a forgotten transaction\n  at 40s: expected idle_in_transaction" in as_configured.stdout
    unknown = pgvigil(tmp_path, "rules", "capture", "activty", *arguments)
    assert 'did you mean "activity"?' in " ".join(unknown.stderr.split()).replace(" │ ", " ")


def test_statements_are_captured_with_the_names_of_databases(database: Database, tmp_path: Path) -> None:
    (tmp_path / "pgvigil.toml").write_text(
        f'[[targets]]\nname = "shop"\ndsn = {json.dumps(database.dsn())}\n', encoding="utf-8"
    )
    capture = ("rules", "capture", "statements", "--target", "shop", "--config", "pgvigil.toml")
    lacking = pgvigil(tmp_path, *capture)
    assert lacking.returncode == codes.SETUP
    assert "needs the extension pg_stat_statements" in " ".join(lacking.stderr.replace("│", " ").split())
    database.execute("CREATE EXTENSION pg_stat_statements")
    captured = json.loads(pgvigil(tmp_path, *capture).stdout)
    assert database.name in captured["databases"].values()
    assert any(str(one["dbid"]) in captured["databases"] for one in captured["rows"]["entries"])
