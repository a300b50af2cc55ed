"""Which rules cannot fire at a real server, and why: as `pgvigil rules dead` says it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import codes, main
from tests.support.logs import put_back
from tests.support.servers import Database

Capture = pytest.CaptureFixture[str]
NOWHERE = '[[targets]]\nname = "gone"\ndsn = "host=127.0.0.1 port=1 dbname=postgres user=pgvigil"\n'


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """The command logs errors only, and other tests hear warnings."""
    with put_back():
        yield


def config(tmp_path: Path, database: Database, more: str = "") -> Path:
    file = tmp_path / "pgvigil.toml"
    target = (
        f'[[targets]]\nname = "shop"\ndsn = {json.dumps(database.dsn())}\ndatabases = ["{database.name}"]\n'
    )
    file.write_text(target + more, encoding="utf-8")
    return file


def asked(file: Path, capsys: Capture, code: int = codes.OK, *arguments: str) -> dict[str, Any]:
    assert main(["rules", "dead", "--config", str(file), "--json", *arguments]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def reasons(found: dict[str, Any], target: int = 0) -> dict[str, str]:
    return {one["rule"]: one["reason"] for one in found["targets"][target]["dead"]}


def test_each_is_told_with_its_reason(tmp_path: Path, database: Database, capsys: Capture) -> None:
    """What is missing at the server, what the configuration says, and what nobody has."""
    more = (
        '[rules.deadlocks]\nenabled = false\n[rules.dead_tuples]\nenabled = true\n[rules.dead_tuples.overrides."shop"]\n'
        "enabled = false\n[collectors.bloat]\nenabled = false\n"
    )
    found = asked(config(tmp_path, database, more), capsys)
    why = reasons(found)
    assert why["statement_evictions"] == why["slow_query"]
    assert "pg_stat_statements" in why["slow_query"]
    assert why["standby_disconnected"] == "the server is no standby"
    assert why["replication_lag"] == "no standby is connected"
    assert why["slot_lost"] == "there are no replication slots"
    assert why["subscription_down"] == "there are no subscriptions"
    assert why["archiver_failing"] == "the server is not set up to archive its log"
    assert why["disk_full_soon"] == "disk_size of the target is not set"
    assert why["two_primaries"] == "no other target is the same cluster"
    assert why["deadlocks"] == why["dead_tuples"] == "switched off in the configuration"
    assert why["table_bloat"] == "bloat: switched off in the configuration"
    assert why["prepared_transaction_old"] == "max_prepared_transactions is 0"
    assert not {"target_down", "blocking_chain", "collector_stale", "constraint_not_valid"} & why.keys()
    assert "pgbouncer_waiting" in found["of_no_target"]


def test_what_is_there_brings_them_to_life(tmp_path: Path, database: Database, capsys: Capture) -> None:
    database.execute("CREATE EXTENSION pg_stat_statements")
    slot = f"slot_{database.name}"
    database.execute(f"SELECT pg_create_physical_replication_slot('{slot}')")
    try:
        why = reasons(asked(config(tmp_path, database, more='disk_size = "10 GB"\n'), capsys))
    finally:
        database.execute(f"SELECT pg_drop_replication_slot('{slot}')")
    assert not {"slow_query", "statement_evictions", "slot_lost", "disk_full_soon"} & why.keys()


def test_a_target_that_cannot_be_asked_is_no_list_of_dead_rules(
    tmp_path: Path, database: Database, capsys: Capture
) -> None:
    found = asked(config(tmp_path, database, NOWHERE), capsys, codes.UNKNOWN)
    assert "refused" in found["targets"][1]["why_not"]
    assert (reasons(found, 1), bool(reasons(found))) == ({}, True)
    assert main(["rules", "dead", "--config", str(tmp_path / "pgvigil.toml")]) == codes.UNKNOWN
    out = capsys.readouterr().out
    assert "gone: could not look: " in out
    assert "  the server is no standby\n    standby_conflicts\n    standby_disconnected\n" in out
