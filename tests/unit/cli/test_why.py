"""`pgvigil incidents why`: the chain from the rule to whoever was told, or was not."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import codes, main
from pgvigil.model.delivery import Act, ActKind, Want
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.model.silence import Silence
from pgvigil.store.store import Store
from tests.unit.sinks.samples import pile_up

Capture = pytest.CaptureFixture[str]
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CONFIG = """
[daemon]
store = "{store}"
[[targets]]
name = "orders-prod"
dsn = "host=127.0.0.1"
[rules.blocking_chain.overrides."orders-*"]
critical = "3m"
[sinks.oncall]
kind = "console"
[sinks.low]
kind = "console"
[[routes]]
match = {{severity = "critical"}}
sinks = ["oncall"]
[[routes]]
match = {{target = "billing"}}
sinks = ["low"]
"""


class Told:
    """A store with incidents, and what the command says of them."""

    def __init__(self, store: Store, config: Path, capsys: Capture) -> None:
        self.store = store
        self._config = config
        self._capsys = capsys

    def put(self, *sinks: str, **changes: Any) -> Incident:
        item = pile_up(id=0, target="orders-prod", severity=Level.CRITICAL, peak=Level.CRITICAL)
        wants = [Want(0, sink, Level.CRITICAL, "<!here>") for sink in sinks]
        [kept] = self.store.incidents.commit([Transition("fired", None, replace(item, **changes))], wants)
        return kept

    def why(self, item: Incident) -> str:
        assert main(["incidents", "why", item.name, "-c", str(self._config)]) == codes.OK
        return self._capsys.readouterr().out

    def object(self, item: Incident) -> dict[str, Any]:
        assert main(["incidents", "why", item.name, "-c", str(self._config), "--json"]) == codes.OK
        found: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return found


@pytest.fixture
def told(tmp_path: Path, capsys: Capture) -> Iterator[Told]:
    url = f"sqlite:///{tmp_path}/pgvigil.db"
    config = tmp_path / "pgvigil.toml"
    config.write_text(CONFIG.format(store=url), encoding="utf-8")
    with closing(Store.open(url)) as store:
        yield Told(store, config, capsys)


def test_rule_limits_routes_and_what_people_saw(told: Told) -> None:
    """The limits are those of this target, with its overrides."""
    item = told.put("oncall")
    row = told.store.deliveries.due("oncall", NOW)[0]
    begun = told.store.deliveries.begin(row, Act(ActKind.POST, item.id, item.version), item, NOW)
    assert begun is not None
    seen = replace(
        begun, seen_version=item.version, seen_state=State.FIRING, seen_level=Level.CRITICAL, attempts=1
    )
    told.store.deliveries.put_back(begun, replace(seen, last_error="ratelimited"))
    text = told.why(item)
    assert "warning 30s, critical 3m" in text
    assert "route 1: yes: oncall" in text
    assert "route 2: not looked at: route 1 was taken" in text
    assert f"people saw firing, critical (version {item.version} of {item.version}), calling <!here>" in text
    assert "1 failed attempt; last error: ratelimited" in text
    found = told.object(item)
    assert found["limits"]["critical"] == "3m"
    assert (found["routes"][0]["taken"], found["recipients"][0]["sink"]) == (True, "oncall")
    assert found["deliveries"][0]["last_error"] == "ratelimited"


def test_what_waits_is_said(told: Told) -> None:
    item = told.put("oncall")
    assert f"oncall: nothing was posted yet; version {item.version} waits to be sent" in told.why(item)


def test_a_part_of_another_says_of_which(told: Told) -> None:
    parent = told.put("oncall", subject="the root", summary="the server is down")
    child = told.put("oncall", parent_id=parent.id, suppressed_by=parent.name)
    text = told.why(child)
    assert "part of INC-1, which is told instead: the server is down" in text
    assert "oncall: nothing was posted: it is part of INC-1" in text


def test_a_silenced_one_says_by_whom_why_and_until_when(told: Told) -> None:
    silence = Silence(
        id=0, match=(("rule", "x"),), author="ana", reason="a deploy", created_at=NOW, ends_at=NOW
    )
    item = told.put("oncall", silenced_by=told.store.silences.add(silence).name)
    text = told.why(item)
    assert "silenced by SIL-1, by ana until 2026-11-23T09:00:00.000Z: a deploy" in text
    assert "oncall: nothing was posted: SIL-1 silences it" in text


def test_what_has_not_fired_says_how_long_it_held(told: Told) -> None:
    item = told.put(state=State.PENDING, fired_at=None)
    assert "it has not fired: it held for" in told.why(item)
    assert told.object(item)["why"][0].startswith("it has not fired")


def test_what_was_over_at_once_was_told_to_nobody(told: Told) -> None:
    item = told.put("low", state=State.RESOLVED, resolved_at=NOW, severity=Level.WARNING, peak=Level.WARNING)
    text = told.why(item)
    assert (
        "low: nothing was posted: it was over before it could be told, and was never worse than warning"
        in text
    )
    assert "no route takes it: it goes to every sink" in text
    assert "oncall: was not asked to tell it" in text


def test_who_acknowledged_it_and_that_its_rule_is_gone(told: Told) -> None:
    item = told.put(
        target="elsewhere",
        acknowledged_by="ana\x1b[31m",
        acknowledged_at=NOW,
        acknowledged_level=Level.WARNING,
    )
    text = told.why(item)
    assert "acknowledged by ana[31m 2026-11-23T09:00:00.000Z, when it was warning" in text
    assert "no such rule judges this target any more" in text


def test_info_that_no_route_asks_for_is_told_to_nobody(told: Told) -> None:
    item = told.put(severity=Level.INFO, peak=Level.INFO)
    text = told.why(item)
    assert "no route leads to a sink for it" in text
    assert told.object(item)["recipients"] == []


def test_an_incident_that_is_not_there(told: Told, capsys: Capture) -> None:
    item = told.put()
    gone = replace(item, id=99)
    with pytest.raises(AssertionError):
        told.why(gone)
    assert "there is no incident 'INC-99'" in capsys.readouterr().err


def test_what_made_it_a_part_is_said(told: Told, tmp_path: Path) -> None:
    """The configuration's own inhibitions and groups, and what began together; who hears of it may be somebody else."""
    source = told.put(rule="disk_full_soon", subject="volume")
    part = told.put(subject="other", parent_id=source.id, suppressed_by=source.name)
    assert f"part of {source.name}, which is told instead: " in told.why(part)
    config = (tmp_path / "pgvigil.toml").read_text(encoding="utf-8")

    def with_more(more: str) -> str:
        (tmp_path / "pgvigil.toml").write_text(config + more, encoding="utf-8")
        return told.why(part)

    group = '[[groups]]\nname = "night"\nmatch = { target = "orders-*" }\n'
    assert f"part of {source.name}, which is told instead, of the group night: " in with_more(group)
    inhibited = with_more(
        '[[inhibitions]]\nsource = { rule = "disk_*" }\nmatch = { rule = "blocking_chain" }\n'
    )
    assert f"part of {source.name}, which keeps it quiet while it fires ([[inhibitions]])" in inhibited
    leader, other = (told.put(rule="slow_query", subject=f"statement {n}") for n in (1, 2))
    follower = replace(other, parent_id=leader.id, suppressed_by=leader.name, version=other.version + 1)
    told.store.incidents.commit([Transition("suppressed", other, follower)], [])
    assert "since they began together (a server-wide slow-down)" in told.why(follower)
