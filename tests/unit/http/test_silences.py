"""Silences through the API and the command line: who may, what is refused, what is said."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import codes, main
from daemon.http.tokens import Holder, May, hash_of
from pgvigil.model.incident import Transition
from pgvigil.model.silence import Silence
from pgvigil.store.store import Store
from tests.support.views import incident
from tests.support.web import World, serving
from tests.unit.http.test_acting import post

Capture = pytest.CaptureFixture[str]
PATH = "/api/v1/silences"
GOOD = {"match": {"rule": "blocking_chain"}, "reason": "deploy", "for": "2h"}
HOLDERS = (
    Holder("ana", hash_of("ana-token"), frozenset(May)),
    Holder("bob", hash_of("bob-token"), frozenset({May.READ, May.ACT})),
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("PGVIGIL_TOKEN", "ana-token")
    with serving(holders=HOLDERS) as world:
        yield world


def send(world: World, asked: dict[str, Any], token: str = "ana-token") -> tuple[int, dict[str, Any]]:
    return post(world, json.dumps(asked).encode(), PATH, token)


def test_added_listed_and_expired_by_whoever_may(world: World) -> None:
    status, answer = send(world, GOOD)
    assert (status, answer["silence"]["id"], answer["silence"]["author"]) == (200, "SIL-1", "ana")
    assert [one["id"] for one in answer["hides"]] == ["INC-7"]
    assert world.followed.is_set()
    [listed] = json.loads(world.get(PATH)[1])["silences"]
    assert (listed["active"], listed["match"]) == (True, {"rule": ["blocking_chain"]})
    assert post(world, b"{}", f"{PATH}/SIL-1/expire", "bob-token")[0] == 403
    assert post(world, b"{}", f"{PATH}/SIL-1/expire")[1]["silence"]["expired_by"] == "ana"
    assert post(world, b"{}", f"{PATH}/SIL-9/expire")[0] == 404
    assert post(world, b"{}", f"{PATH}/x/expire")[0] == 404


def test_who_may_act_may_not_silence_and_a_trial_changes_nothing(world: World) -> None:
    assert send(world, GOOD, "bob-token")[0] == 403
    status, answer = send(world, {**GOOD, "dry_run": True})
    assert (status, len(answer["hides"])) == (200, 1)
    assert json.loads(world.get(PATH)[1]) == {"silences": []}
    assert not world.followed.is_set()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"match": {}}, '"match" is {}: use an object of patterns'),
        ({"match": {"rule": 7}}, "use an object of patterns"),
        ({"match": {"rule": []}}, "use an object of patterns"),
        ({"match": {"rule": "x", "target": []}}, "use an object of patterns"),
        ({"match": "rule"}, "use an object of patterns"),
        ({"reason": "  "}, '"reason" is "  ": say why'),
        ({"reason": None}, '"reason" is null'),
        ({"for": 7200}, '"for" is 7200: use a duration'),
        ({"for": "2d"}, "for: more than 0s and at most"),
        ({"for": "99999999999999h"}, "for: more than 0s and at most"),
        ({"until_worse": "critical"}, '"until_worse" is "critical": use info or warning'),
        ({"until_worse": []}, '"until_worse" is []'),
        ({"until_resolved": "yes"}, '"until_resolved" is "yes": use true or false'),
        ({"author": "bob"}, '"author" is "bob": unknown key'),
    ],
)
def test_bad_input_names_key_value_and_the_way_out(world: World, changes: dict[str, Any], said: str) -> None:
    status, answer = send(world, {**GOOD, **changes})
    assert (status, said in answer["error"]) == (400, True), answer


def test_the_command_line_adds_with_a_preview_and_expires(world: World, capsys: Capture) -> None:
    add = ["silences", "add", "--match", "rule=blocking_chain", "--reason", "deploy", "--url", world.url]
    assert main([*add, "--for", "2h", "--dry-run"]) == codes.OK
    assert (
        "it would hold until 2026-11-22 22:00Z and hides 1 now\n  INC-7 critical" in capsys.readouterr().out
    )
    assert main([*add, "--for", "2h", "--until-worse", "warning"]) == codes.OK
    assert capsys.readouterr().out == "SIL-1 holds until 2026-11-22 22:00Z and hides nothing now\n"
    assert main(["silences", "expire", "1", "--url", world.url]) == codes.OK
    assert "expired by ana" in capsys.readouterr().out
    assert main([*add]) == codes.SETUP
    assert main(["silences", "expire", "x", "--url", world.url]) == codes.SETUP
    assert main(["silences", "add", "--match", "rule", "--reason", "x", "--url", world.url]) == codes.SETUP


def test_the_list_says_what_is_forgotten_and_what_never_matched(tmp_path: Path, capsys: Capture) -> None:
    now = datetime.now(UTC)
    url = f"sqlite:///{tmp_path}/pgvigil.db"
    config = tmp_path / "pgvigil.toml"
    config.write_text(f'[daemon]\nstore = "{url}"\n', encoding="utf-8")
    with closing(Store.open(url)) as store:
        for reason, matched, ends in (
            ("never", None, 1),
            ("past", now, 1),
            ("holds", now, 1),
            ("over", now, -1),
        ):
            one = Silence(
                id=0,
                match=(("rule", "x\x1b[31m"),),
                author="ana",
                reason=reason,
                created_at=now,
                ends_at=now + timedelta(hours=ends),
                matched_at=matched,
            )
            store.silences.add(one)
        store.incidents.commit([Transition("fired", None, incident(id=0, silenced_by="SIL-3"))])

        def listed(*arguments: str) -> str:
            assert main(["silences", "list", "-c", str(config), *arguments]) == codes.OK
            return capsys.readouterr().out

        assert [word in listed() for word in ("never", "past", "holds", "SIL-4")] == [True] * 3 + [False]
        assert "hides INC-1" in listed()
        assert "\x1b" not in listed()
        forgotten = listed("--forgotten")
        assert "has never matched anything" in forgotten
        assert "what it hid is over: expire it?" in forgotten
        assert "SIL-3" not in forgotten
        assert "SIL-4" in listed("--all")
        assert len(json.loads(listed("--json"))["silences"]) == 3
