"""`pgvigil routes test`: the path of an incident, and why it is that one."""

import json
from pathlib import Path

import pytest

from daemon.cli import codes, main

Capture = pytest.CaptureFixture[str]
HEAD = """
[[targets]]
name = "orders-prod"
dsn = "host=127.0.0.1"
labels = {env = "prod", team = "payments"}
[sinks.oncall]
kind = "console"
[sinks.low]
kind = "console"
"""
ROUTES = """
[[routes]]
match = {severity = "critical", env = ["prod", "stage"]}
sinks = ["oncall"]
mention = "<!here>"
continue = true
[[routes]]
match = {team = "search"}
sinks = ["low"]
[[routes]]
match = {database = "orders*"}
sinks = ["low"]
[[routes]]
match = {rule = "dead_*"}
sinks = ["low"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "pgvigil.toml"
    file.write_text(HEAD + ROUTES, encoding="utf-8")
    return file


def shown(capsys: Capture, config: Path, *arguments: str) -> str:
    assert main(["routes", "test", "-c", str(config), "--target", "orders-prod", *arguments]) == codes.OK
    return capsys.readouterr().out


def test_each_route_says_why_it_is_taken_or_not(config: Path, capsys: Capture) -> None:
    assert shown(capsys, config, "--rule", "blocking_chain", "--database", "orders") == (
        "critical incident of blocking_chain in orders on orders-prod, env=prod, team=payments\n"
        "  route 1: yes: oncall; continue: the routes below are looked at as well\n"
        '  route 2: no: team is "payments", and it asks for "search"\n'
        "  route 3: yes: low\n"
        "  route 4: not looked at: route 3 was taken and does not say continue\n"
        "told to oncall, calling <!here>\n"
        "told to low\n"
    )


def test_hours_are_those_of_the_time_that_is_asked_for(tmp_path: Path, capsys: Capture) -> None:
    """A Friday evening in Vienna: the night and the weekend are one, and it ends on Monday morning."""
    hours = 'mute = [{days = ["sat-sun"], zone = "Europe/Vienna"}, {from = "19:00", to = "07:00", zone = "Europe/Vienna"}]'
    file = tmp_path / "pgvigil.toml"
    file.write_text(f'{HEAD}[[routes]]\nsinks = ["low"]\n{hours}\n', encoding="utf-8")
    asked = ("--rule", "blocking_chain", "--at")
    assert shown(capsys, file, *asked, "2026-11-27T21:00+01:00").endswith(
        "  route 1: yes: low; muted until 2026-11-30 06:00Z (daily 19:00-07:00 Europe/Vienna)\n"
        "told to low, not before 2026-11-30 06:00Z and if it still fires then\n"
    )
    assert shown(capsys, file, *asked, "2026-11-30T06:00").endswith("  route 1: yes: low\ntold to low\n")
    found = json.loads(shown(capsys, file, *asked, "2026-11-28T12:00", "--json"))
    assert found["recipients"] == [{"sink": "low", "mention": "", "muted_until": "2026-11-30T06:00:00.000Z"}]


def test_what_no_route_takes_goes_to_every_sink(config: Path, capsys: Capture) -> None:
    text = shown(capsys, config, "--rule", "blocking_chain", "--severity", "warning")
    assert text.endswith("  no route takes it: it goes to every sink\ntold to oncall\ntold to low\n")


def test_info_is_told_only_where_a_route_asks_for_it(config: Path, capsys: Capture) -> None:
    assert shown(capsys, config, "--rule", "dead_tuples", "--severity", "info").endswith("told to low\n")
    silent = shown(capsys, config, "--rule", "table_bloat", "--severity", "info")
    assert "route 2: no: it does not ask for info, by severity or by rule" in silent
    assert "told to nobody" in silent


def test_without_routes_it_goes_to_every_sink(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "pgvigil.toml").write_text(HEAD, encoding="utf-8")
    text = shown(capsys, tmp_path / "pgvigil.toml", "--rule", "blocking_chain")
    assert "there are no routes: it goes to every sink\ntold to oncall\ntold to low" in text


def test_as_json(config: Path, capsys: Capture) -> None:
    found = json.loads(shown(capsys, config, "--rule", "blocking_chain", "--database", "orders", "--json"))
    assert [one["taken"] for one in found["routes"]] == [True, False, True, False]
    assert found["routes"][3]["ended_by"] == 3
    assert found["recipients"] == [
        {"sink": "oncall", "mention": "<!here>", "muted_until": None},
        {"sink": "low", "mention": "", "muted_until": None},
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--rule", "dead_tupls", "--target", "orders-prod"), 'did you mean "dead_tuples"?'),
        (("--rule", "dead_tuples", "--target", "orders-prd"), 'did you mean "orders-prod"?'),
        (
            ("--rule", "dead_tuples", "--target", "orders-prod", "--severity", "high"),
            "valid here: critical, info",
        ),
        (("--rule", "dead_tuples", "--target", "orders-prod", "--at", "soon"), "2026-12-24T22:30+01:00"),
    ],
)
def test_what_is_misspelt_is_said_with_the_nearest(
    config: Path, capsys: Capture, arguments: tuple[str, ...], told: str
) -> None:
    assert main(["routes", "test", "-c", str(config), *arguments]) == codes.SETUP
    assert told in capsys.readouterr().err


def test_what_happens_when_a_sink_is_late_is_said_of_what_is_bad_enough(
    tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "pgvigil.toml"
    file.write_text(f'{HEAD}[[routes]]\nsinks = ["low"]\nfallback = "oncall"\n', encoding="utf-8")
    taken = "  route 1: yes: low; if one has not taken it after 2m, also oncall\n"
    assert taken in shown(capsys, file, "--rule", "blocking_chain")
    assert "also oncall" not in shown(capsys, file, "--rule", "blocking_chain", "--severity", "warning")


def test_who_is_reminded_and_who_else_is_told_is_said(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "pgvigil.toml"
    times = 'remind_every = "4h"\nescalate_after = "15m"\nescalate_to = "oncall"'
    file.write_text(f'{HEAD}[[routes]]\nsinks = ["low"]\n{times}\n', encoding="utf-8")
    assert (
        "  route 1: yes: low; again every 4h until it is acknowledged; if nobody acknowledges it for 15m, also oncall\n"
    ) in shown(capsys, file, "--rule", "blocking_chain")
    (found,) = json.loads(shown(capsys, file, "--rule", "blocking_chain", "--json"))["routes"]
    assert (found["remind_every_s"], found["escalate_after_s"]) == (14400.0, 900.0)
    assert found["escalate_to"] == ["oncall"]
