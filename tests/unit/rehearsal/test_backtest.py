"""A rule on the readings that are kept: when it would have fired, next to when it did."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.prepared_transactions import COLLECTOR, PreparedTransaction
from daemon.cli import codes, main
from daemon.rehearsal.blocks import Filling
from pgvigil.columns import packed, unpacked
from pgvigil.model.history import Place
from pgvigil.model.incident import State, Transition
from pgvigil.model.level import Level
from pgvigil.store import Store
from tests.support.readings import snapshot
from tests.support.views import facts, incident

Capture = pytest.CaptureFixture[str]
RULE = "prepared_transaction_old"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=10)
BEFORE = START - timedelta(days=1)


def block(target: str, ages_s: list[float | None], start: datetime = START, gap_s: float = 60.0) -> Any:
    """One reading a minute; None is one without any prepared transaction."""
    filling = Filling(target, Place(COLLECTOR.name, None), facts(), 0.0)
    for number, age_s in enumerate(ages_s):
        at = start + timedelta(seconds=number * gap_s)
        row = PreparedTransaction("tx-1", "ana", "shop", 5, at, age_s or 0.0, 7, 1, None, [])
        filling.add(replace(snapshot((row,) * (age_s is not None), COLLECTOR.name), taken_at=at), COLLECTOR)
    return filling.block()


def went(*ages_min: float) -> list[float | None]:
    """Open for so many minutes, then gone for a quarter of an hour."""
    return [*(minutes * 60 for minutes in ages_min), *[None] * 15]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "pgvigil.toml"
    url = f"sqlite:///{tmp_path}/pgvigil.db"
    file.write_text(
        f'[daemon]\nstore = "{url}"\n[[targets]]\nname = "orders"\ndsn = "host=db1"\n'
        '[[targets]]\nname = "billing"\ndsn = "host=db2"\n',
        encoding="utf-8",
    )
    with closing(Store.open(url)) as store:
        readings = went(*range(14, 20)) + went(*range(3, 8))
        store.samples.add([block("orders", readings)], since=BEFORE, most_bytes=10_000_000)
        fired = START + timedelta(minutes=1)
        did = incident(
            id=0,
            rule=RULE,
            target="orders",
            database="shop",
            subject="prepared 'tx-1'",
            state=State.RESOLVED,
            severity=Level.WARNING,
            peak=Level.WARNING,
            summary="it was open",
            pending_since=fired,
            fired_at=fired,
            evaluated_at=fired + timedelta(minutes=9),
            resolved_at=fired + timedelta(minutes=9),
        )
        store.incidents.commit([Transition("fired", None, did)], [])
    return file


def backtest(config: Path, *arguments: str) -> int:
    return main(["rules", "backtest", "--config", str(config), "--rule", RULE, *arguments])


def test_with_the_parameters_of_now_it_would_have_fired_as_it_did(config: Path, capsys: Capture) -> None:
    assert backtest(config, "--target", "orders", "--json") == codes.OK
    [found] = json.loads(capsys.readouterr().out)["targets"]
    assert [(one["did"], one["peak_severity"], one["state"]) for one in found["would_have_fired"]] == [
        ("INC-1", "warning", "resolved")
    ]
    assert found["would_have_fired"][0]["fired_at"] == found["did_fire"][0]["fired_at"]
    assert (found["readings"], found["rule_failures"], found["unreadable_blocks"]) == (41, 0, 0)


def test_a_lower_limit_shows_what_was_not_told_then(config: Path, capsys: Capture) -> None:
    assert backtest(config, "--set", "warning=5m", "--set", "for=1m") == codes.OK
    out = capsys.readouterr().out
    assert "orders: 41 readings over 40m" in out
    assert "would have fired 2 times, did fire once" in out
    assert out.count("[did: INC-1]") == out.count("[did not]") == 1
    assert "billing: no readings are kept" in out


def test_a_higher_limit_names_what_only_did(config: Path, capsys: Capture) -> None:
    assert backtest(config, "--target", "orders", "--set", "warning=30m") == codes.OK
    out = capsys.readouterr().out
    assert "would have fired no times, did fire once" in out
    assert "it was open  [only did: INC-1]" in out


def test_a_time_in_which_nobody_looked_is_no_evidence(config: Path, capsys: Capture, tmp_path: Path) -> None:
    """It does not count for `for`: an old one that was there before and after may have been another one."""
    with closing(Store.open(f"sqlite:///{tmp_path}/pgvigil.db")) as store:
        for hours in (1, 2):
            start = START + timedelta(hours=hours)
            store.samples.add(
                [block("billing", [3000.0, 3060.0], start)], since=BEFORE, most_bytes=10_000_000
            )
    assert backtest(config, "--target", "billing", "--set", "for=10m") == codes.OK
    assert "would have fired no times" in capsys.readouterr().out
    assert backtest(config, "--target", "billing", "--set", "for=1m") == codes.OK
    assert "would have fired once" in capsys.readouterr().out


def test_only_what_is_asked_for_is_played(config: Path, capsys: Capture) -> None:
    assert backtest(config, "--target", "orders", "--since", "1h") == codes.OK
    assert capsys.readouterr().out == "orders: no readings are kept; see samples in [retention]\n"


def test_readings_of_another_version_are_counted_and_left_out(
    config: Path, capsys: Capture, tmp_path: Path
) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path}/pgvigil.db")) as store:
        strange = replace(block("orders", [1.0], START + timedelta(hours=1)), data=b"?")
        store.samples.add([strange], since=BEFORE, most_bytes=10_000_000)
    assert backtest(config, "--target", "orders") == codes.OK
    assert "left out: 1 blocks of readings that are damaged or of another version" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["cut", "flipped", "swapped"])
def test_a_damaged_block_costs_its_own_readings_and_is_said(
    config: Path, capsys: Capture, tmp_path: Path, damage: str
) -> None:
    """What comes before and after it is played."""
    sound = block("orders", went(20, 21), START + timedelta(hours=2))
    data = {
        "cut": sound.data[: len(sound.data) // 2],
        "flipped": bytes([*sound.data[:40], sound.data[40] ^ 4, *sound.data[41:]]),
        "swapped": packed([{**unpacked(sound.data)[0], "which": [99] * 17}]),
    }[damage]
    with closing(Store.open(f"sqlite:///{tmp_path}/pgvigil.db")) as store:
        after = block("orders", went(16, 17), START + timedelta(hours=4))
        store.samples.add([replace(sound, data=data), after], since=BEFORE, most_bytes=10_000_000)
    assert backtest(config, "--target", "orders", "--json") == codes.OK
    [found] = json.loads(capsys.readouterr().out)["targets"]
    assert (found["unreadable_blocks"], found["readings"], len(found["would_have_fired"])) == (1, 58, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "warnin=5m"], "has no parameter 'warnin'"),
        (["--set", "warning=5"], "is not a duration"),
        (["--set", "warning=2h"], "clear <= warning <= critical must hold"),
        (["--set", "warning"], "write KEY=VALUE"),
        (["--since", "7"], "is not a duration"),
        (["--target", "orderz"], "there is no target 'orderz'"),
        (["--rule", "prepared_transaction"], "no target is judged by 'prepared_transaction'"),
        (["--rule", "target_down"], "target_down judges availability, of which no readings are kept"),
        (["--rule", "slow_query"], "of which no readings are kept"),
    ],
)
def test_a_slip_is_said_with_the_way_out(
    config: Path, capsys: Capture, arguments: list[str], said: str
) -> None:
    assert backtest(config, *arguments) == codes.SETUP
    assert said in " ".join(capsys.readouterr().err.split())
