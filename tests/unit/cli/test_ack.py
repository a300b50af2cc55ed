"""`pgvigil token new` and `pgvigil incidents ack`: through the daemon's API, and clear when that cannot be."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cli import codes, main
from daemon.http.tokens import Holder, May, hash_of
from daemon.settings.loader import load
from tests.support.web import World, serving

Capture = pytest.CaptureFixture[str]
TOKEN = "ana-token"


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    with serving(holders=(Holder("ana", hash_of(TOKEN), frozenset(May)),)) as world:
        yield world


@pytest.fixture
def world(served: World, monkeypatch: pytest.MonkeyPatch) -> World:
    served.acted.clear()
    monkeypatch.setenv("PGVIGIL_TOKEN", TOKEN)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # no token goes through a proxy
    return served


def ack(world: World, *arguments: str) -> int:
    return main(["incidents", "ack", *arguments, "--url", world.url])


def test_a_made_token_is_accepted_by_the_configuration_that_is_printed(
    tmp_path: Path, capsys: Capture
) -> None:
    assert main(["token", "new", "ana", "--may", "act"]) == codes.OK
    printed = capsys.readouterr().out
    file = tmp_path / "pgvigil.toml"
    file.write_text(printed[printed.index("[[tokens]]") :], encoding="utf-8")
    [section] = load(file, {}).tokens
    holder = section.holder()
    assert (holder.name, holder.may) == ("ana", {May.READ, May.ACT})
    assert holder.sha256 == hash_of(printed.split()[0])
    assert printed.split()[0] not in file.read_text(encoding="utf-8")


def test_each_token_is_another_one_and_reads_only_unless_told_otherwise(capsys: Capture) -> None:
    assert [main(["token", "new", "ana", "--json"]) for _ in range(2)] == [codes.OK] * 2
    one, other = (json.loads(part) for part in capsys.readouterr().out.replace("}\n{", "}\0{").split("\0"))
    assert one["token"] != other["token"]
    assert one["may"] == ["read"]
    assert main(["token", "new", 'an"a']) == codes.SETUP


def test_acknowledging_and_its_undoing_go_to_the_daemon(world: World, capsys: Capture) -> None:
    assert ack(world, "inc-7", "--note", "on it") == codes.OK
    assert ack(world, "7", "--undo", "--json") == codes.OK
    first, second = world.acted
    assert (first.kind, first.incident_id, first.note, first.actor.door) == ("acknowledge", 7, "on it", "cli")
    assert second.kind == "unacknowledge"
    assert first.id != second.id
    line, _, rest = capsys.readouterr().out.partition("\n")
    assert line == "INC-7: done"
    assert json.loads(rest)["result"] == "done"


def test_what_is_over_is_no_success(world: World, capsys: Capture) -> None:
    assert ack(world, "INC-8") == codes.WARNING
    assert capsys.readouterr().out == "INC-8: refused\n"


def test_what_stands_in_the_way_is_said_with_the_way_out(
    world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert ack(world, "INC-99") == codes.SETUP
    assert "says no (404): there is no incident INC-99" in capsys.readouterr().err
    monkeypatch.setenv("PGVIGIL_TOKEN", "other")
    assert ack(world, "7") == codes.SETUP
    assert "pgvigil token new NAME --may act" in capsys.readouterr().err
    for bad in ("", "a\nb", "é"):
        monkeypatch.setenv("PGVIGIL_TOKEN", bad)
        assert ack(world, "7") == codes.SETUP
        assert "fix: Make one with `pgvigil token new" in capsys.readouterr().err
    assert ack(world, "7", "--token-file", str(tmp_path / "none")) == codes.SETUP
    assert "cannot be read" in capsys.readouterr().err
    assert ack(world, "seven") == codes.SETUP
    assert world.acted == []


def test_a_daemon_that_cannot_be_reached_is_said(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGVIGIL_TOKEN", TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "file:///etc/passwd", "nonsense", "http://["):
        assert main(["incidents", "ack", "7", "--url", url]) == codes.SETUP
        said = capsys.readouterr().err
        assert f"The daemon at {url} cannot be reached" in said
        assert TOKEN not in said
