"""Targets of another kind: which rules and collectors they have, and what cannot be said of them."""

from pathlib import Path

import pytest

from daemon.reading import scheduled, switched_off
from daemon.settings import ConfigErrors, Settings, load
from pgvigil.model.kind import TargetKind

SERVER = '[[targets]]\nname = "shop"\ndsn = "host=a"\n'
POOLER = '[[targets]]\nname = "pool"\nkind = "pgbouncer"\ndsn = "host=b port=6432"\n'


def loaded(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "pgvigil.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, {})


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, text)
    return str(raised.value)


def test_each_kind_has_the_rules_whose_feeds_it_has(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SERVER + POOLER)
    of_pooler, of_server = set(settings.bound_rules("pool")), set(settings.bound_rules("shop"))
    assert of_pooler & of_server == {"collector_stale", "target_down"}
    assert {name for name in of_pooler if not name.startswith("pgbouncer_")} == {
        "collector_stale",
        "target_down",
    }
    assert not any(name.startswith("pgbouncer_") for name in of_server)
    assert "connection_saturation" in of_server


def test_each_kind_has_its_collectors(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SERVER + "[collectors.activity]\nenabled = false\n")
    of_pooler = scheduled(settings, TargetKind.PGBOUNCER)
    assert {name for name in of_pooler if not name.startswith("pgbouncer_")} == {"availability"}
    assert not any(name.startswith("pgbouncer_") for name in scheduled(settings))
    assert (switched_off(settings), switched_off(settings, TargetKind.PGBOUNCER)) == ({"activity"}, set())


def test_what_a_pooler_has_not_is_no_rule_that_cannot_fire(tmp_path: Path) -> None:
    text = POOLER + "[collectors.statements]\nenabled = false\n"
    slugs = [problem.slug for problem in loaded(tmp_path, text).problems]
    assert "rule-cannot-fire" not in slugs
    of_both = loaded(tmp_path, text + SERVER).problems
    assert [problem.sentence for problem in of_both if problem.slug == "rule-cannot-fire"]


def test_an_instance_of_threshold_is_for_the_kind_of_its_collector(tmp_path: Path) -> None:
    instance = '[rules.threshold.instances.queue]\ncollector = "pgbouncer_pools"\ncolumn = "cl_waiting"\nwarning = 10\n'
    settings = loaded(tmp_path, SERVER + POOLER + instance)
    assert "threshold.queue" in settings.bound_rules("pool")
    assert "threshold.queue" not in settings.bound_rules("shop")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('dsn = "host=b dbname=shop"', "write dbname=pgbouncer"),
        ('dsn = "host=b"\ndatabases = ["shop"]', "databases can be said of a PostgreSQL server only"),
        ('dsn = "host=b"\ndisk_size = "10GB"', "can be said of a PostgreSQL server only"),
    ],
)
def test_what_cannot_be_said_of_a_pooler_is_an_error(tmp_path: Path, line: str, words: str) -> None:
    assert words in refused(tmp_path, f'[[targets]]\nname = "pool"\nkind = "pgbouncer"\n{line}\n')


def test_a_slip_of_the_pen_in_the_kind_is_an_error(tmp_path: Path) -> None:
    assert "kind" in refused(tmp_path, POOLER.replace('"pgbouncer"', '"pgbuoncer"'))
