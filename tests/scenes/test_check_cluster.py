"""One look at a primary and its standby: what both show is said once, and of the server where it can be mended."""

import json
from pathlib import Path

import psycopg

from daemon.checking.passes import Pass
from daemon.settings import load
from tests.support.pairs import caught_up, start_pair
from tests.support.servers import StartServer

RULE = "table_without_primary_key"


def test_what_a_cluster_shows_twice_is_said_of_its_primary(tmp_path: Path, start_server: StartServer) -> None:
    primary, standby = start_pair(start_server)
    with psycopg.connect(primary.dsn(), autocommit=True) as admin:
        admin.execute("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 1000) AS i")
    caught_up(primary, standby)
    file = tmp_path / "pgvigil.toml"
    file.write_text(
        "".join(
            f'[[targets]]\nname = "{name}"\ndsn = {json.dumps(server.dsn())}\n'
            for name, server in (("main", primary), ("replica", standby))
        ),
        encoding="utf-8",
    )
    settings = load(file, {})
    both = Pass(settings, sample_s=0.0).over(settings.targets)
    assert [(each.name, found.rule) for each in both for found in each.findings if found.rule == RULE] == [
        ("main", RULE)
    ]
    (alone,) = Pass(settings, sample_s=0.0).over(settings.targets[1:])
    assert RULE in {found.rule for found in alone.findings}, "nobody else tells it"
