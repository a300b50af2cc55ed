"""Markers through the API and the command line: who may, what is refused, what is said."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.cli import codes, main
from daemon.http.tokens import Holder, May, hash_of
from tests.support.web import World, serving
from tests.unit.http.test_acting import post

Capture = pytest.CaptureFixture[str]
PATH = "/api/v1/markers"
HOLDERS = (
    Holder("ci", hash_of("ci-token"), frozenset({May.MARK})),
    Holder("bob", hash_of("bob-token"), frozenset({May.READ, May.ACT, May.SILENCE})),
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("PGVIGIL_TOKEN", "ci-token")
    with serving(holders=HOLDERS) as world:
        yield world


def send(world: World, asked: dict[str, Any], token: str = "ci-token") -> tuple[int, dict[str, Any]]:
    return post(world, json.dumps(asked).encode(), PATH, token)


def listed(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(world.get(PATH, Authorization="Bearer bob-token")[1])["markers"]
    return found


def test_who_may_mark_marks_once_and_who_may_all_else_does_not(world: World) -> None:
    asked = {"text": "deploy v1.42", "id": "run-1", "match": {"target": "orders-*", "env": ["prod", "stage"]}}
    assert send(world, asked, "bob-token")[0] == 403
    status, answer = send(world, asked)
    assert (status, answer["marker"]["author"], answer["marker"]["at"]) == (
        200,
        "ci",
        "2026-11-22T20:00:00.000Z",
    )
    assert send(world, {**asked, "text": "sent again"}) == (200, answer)
    assert send(world, {"text": "earlier", "at": "2026-11-22T20:30:00+01:00"})[0] == 200
    assert [(one["text"], one["at"]) for one in listed(world)] == [
        ("deploy v1.42", "2026-11-22T20:00:00.000Z"),
        ("earlier", "2026-11-22T19:30:00.000Z"),
    ]
    assert listed(world)[0]["match"] == {"target": ["orders-*"], "env": ["prod", "stage"]}


def test_what_cannot_be_written_is_not_marked(world: World) -> None:
    world.writable = False
    assert send(world, {"text": "deploy"})[0] == 503
    assert listed(world) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": " "}, '"text" is " ": say what was done'),
        ({"text": "x" * 121}, "at most 120 characters"),
        ({"text": None}, '"text" is null'),
        ({"at": "2026-11-22T20:00:00"}, "with its zone"),
        ({"at": "2026-11-22T21:00:00Z"}, "use a time of the last 30 days"),
        ({"at": "2026-10-01T20:00:00Z"}, "use a time of the last 30 days"),
        ({"at": "0001-01-01T00:00:00+23:59"}, "use a time of the last 30 days"),
        ({"at": 1}, '"at" is 1'),
        ({"match": {}}, "use an object of patterns"),
        ({"match": None}, "use an object of patterns"),
        ({"id": "a b"}, '"id" is "a b"'),
        ({"author": "bob"}, '"author" is "bob": unknown key'),
    ],
)
def test_bad_input_names_key_value_and_the_way_out(world: World, changes: dict[str, Any], said: str) -> None:
    status, answer = send(world, {"text": "deploy", **changes})
    assert (status, said in answer["error"]) == (400, True), answer


def test_the_command_line_marks(world: World, capsys: Capture) -> None:
    mark = ["mark", "deploy v1.42", "--url", world.url]
    assert main([*mark, "--match", "target=orders-*", "--match", "env=prod", "--id", "run-1"]) == codes.OK
    assert capsys.readouterr().out == "marked deploy v1.42 at 2026-11-22 20:00:00Z, by ci\n"
    assert main([*mark, "--at", "yesterday"]) == codes.SETUP
    assert main([*mark, "--match", "target"]) == codes.SETUP
    assert [one["id"] for one in listed(world)] == ["run-1"]
