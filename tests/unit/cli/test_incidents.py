"""`pgvigil incidents`, beside a daemon that has the store open."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.cli import codes, main
from pgvigil.model.incident import Transition
from pgvigil.store.marker import Marker
from pgvigil.store.store import Store
from tests.unit.sinks.samples import pile_up, resolved

Capture = pytest.CaptureFixture[str]
HOSTILE = "rows of \u202e\x1b[31mevil\nINC-9  critical  firing"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration whose store is held open by a writer, as by a running daemon."""
    directory = tmp_path_factory.mktemp("incidents")
    url = f"sqlite:///{directory}/pgvigil.db"
    (directory / "pgvigil.toml").write_text(f'[daemon]\nstore = "{url}"\n')
    with closing(Store.open(url)) as store:
        for item in (pile_up(id=0), pile_up(id=0, target="billing", database=None, summary=HOSTILE)):
            store.incidents.commit([Transition("fired", None, item, why="it held for 30s")])
        [kept] = store.incidents.commit([Transition("fired", None, pile_up(id=0, subject="session 1"))])
        ended = resolved(id=kept.id, subject="session 1")
        store.incidents.commit([Transition("resolved", kept, ended, why="pid 8123 committed")])
        yield directory / "pgvigil.toml"


def run(config: Path, *arguments: str) -> int:
    return main(["incidents", *arguments, "-c", str(config)])


def test_open_ones_are_listed_the_newest_first(config: Path, capsys: Capture) -> None:
    assert run(config, "list") == codes.OK
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["INCIDENT", "SEVERITY", "STATE", "AGE", "RULE", "WHERE", "SUMMARY"]
    assert [row.split()[0] for row in rows] == ["INC-2", "INC-1"]
    assert "orders-prod/shop" in rows[1]
    assert "23 sessions blocked 4m12s by pid 8123" in rows[1]


def test_a_file_that_is_behind_is_said(config: Path, capsys: Capture) -> None:
    marker = Marker(config.parent / "pgvigil.db")
    try:
        assert marker.put(datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC), 5.0)
        assert run(config, "list") == codes.OK
        warning = capsys.readouterr().err
        assert "what happened since 2026-11-23T01:02:03" in warning
        assert "only in the daemon's memory" in warning
    finally:
        marker.put(None, 5.0)


def test_text_from_a_database_stays_in_its_line(config: Path, capsys: Capture) -> None:
    assert run(config, "list", "--target", "billing") == codes.OK
    _, row = capsys.readouterr().out.splitlines()
    assert row.isprintable()


def test_filters_and_resolved_ones(config: Path, capsys: Capture) -> None:
    for arguments, wanted in (
        (["--all"], ["INC-2", "INC-1", "INC-3"]),
        (["--all", "--limit", "1"], ["INC-2"]),
        (["--target", "orders-prod"], ["INC-1"]),
        (["--rule", "slow_query"], []),
    ):
        assert run(config, "list", "--json", *arguments) == codes.OK
        listed = json.loads(capsys.readouterr().out)["incidents"]
        assert [item["id"] for item in listed] == wanted
    assert run(config, "list", "--rule", "slow_query") == codes.OK
    assert capsys.readouterr().out == "no open incidents\n"


@pytest.mark.parametrize("name", ["INC-3", "inc-3", "3"])
def test_one_is_shown_with_its_history(name: str, config: Path, capsys: Capture) -> None:
    assert run(config, "show", name) == codes.OK
    text = capsys.readouterr().out
    assert text.startswith("✅ Resolved after 14m07s")
    history = text.split("History:\n")[1]
    assert [line.split()[1] for line in history.splitlines()] == ["fired", "resolved"]
    assert "pid 8123 committed" in history


def test_one_as_json(config: Path, capsys: Capture) -> None:
    assert run(config, "show", "INC-1", "--json") == codes.OK
    item = json.loads(capsys.readouterr().out)
    assert (item["id"], item["rule"], item["state"]) == ("INC-1", "blocking_chain", "firing")
    assert [event["kind"] for event in item["history"]] == ["fired"]


@pytest.mark.parametrize("name", ["INC-99", "x", "-1", "9" * 30, ""])
def test_one_that_is_not_there(name: str, config: Path, capsys: Capture) -> None:
    assert run(config, "show", name) == codes.SETUP
    assert capsys.readouterr().err


def test_without_a_store_the_fix_is_named(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "pgvigil.toml").write_text(f'[daemon]\nstore = "sqlite:///{tmp_path}/none.db"\n')
    assert run(tmp_path / "pgvigil.toml", "list") == codes.SETUP
    assert "Start the daemon once" in capsys.readouterr().err
