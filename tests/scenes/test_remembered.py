"""What was read over time is there after the end of the process, however it ended, and of nobody else."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from pgvigil.model.change import Change
from pgvigil.model.history import History
from pgvigil.model.series import Point
from pgvigil.scratch.server import ScratchServer
from pgvigil.store import Store
from pgvigil.track import Track
from tests.support.daemons import running_daemon
from tests.support.polling import poll
from tests.support.servers import StartServer, installations

QUICK = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.settings]
interval = "1s"

[collectors.database_stats]
interval = "1s"

[collectors.sequences]
interval = "1s"
"""


def run(server: ScratchServer, *statements: str, database: str = "postgres") -> None:
    with psycopg.connect(server.dsn(dbname=database), autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement)


def set_memory(server: ScratchServer, value: str) -> None:
    run(server, f"ALTER SYSTEM SET maintenance_work_mem = '{value}'", "SELECT pg_reload_conf()")


def stored(directory: Path) -> History:
    """As another process sees it while the daemon runs."""
    with closing(Store.open(f"sqlite:///{directory}/pgvigil.db", exclusive=False)) as store:
        return store.history.load("shop")


def changes(directory: Path) -> list[Change]:
    return [each.change for each in stored(directory).changes if each.change.key == "maintenance_work_mem"]


def deadlocks(directory: Path) -> Sequence[Point]:
    """The points of a series that every server has."""
    (found,) = (
        each
        for each in stored(directory).series
        if each.name.series == "deadlocks" and "postgres" in each.name.key
    )
    return list(Track.unpacked(found.points))


def test_points_and_changes_survive_sigterm_and_kill(own_server: ScratchServer, tmp_path: Path) -> None:
    """What changes while pgvigil is down is told, with how long it was; a database that is dropped is forgotten."""
    run(own_server, "CREATE DATABASE crm")
    run(own_server, "CREATE SEQUENCE numbers", "SELECT nextval('numbers')", database="crm")
    with running_daemon(tmp_path, QUICK.format(dsn=own_server.dsn())) as daemon:
        daemon.read_again("shop", "settings")
        daemon.read_again("shop", "sequences", "crm")
        set_memory(own_server, "7MB")
        poll(lambda: changes(tmp_path), 10, message="the change is written at once", interval_s=0.1)
        assert stored(tmp_path).series == []
        daemon.read_again("shop", "database_stats", times=2)
        remembered = daemon.metric("pgvigil_remembered_series ")
        assert daemon.stop() == 0
        assert len(stored(tmp_path).series) == remembered
        first = deadlocks(tmp_path)
        assert len(first) >= 2
        assert "crm" in {each.name.place.database for each in stored(tmp_path).series}

        stopped_at = datetime.now(UTC)
        set_memory(own_server, "8MB")
        run(own_server, "DROP DATABASE crm")
        daemon.start_again()
        poll(lambda: len(changes(tmp_path)) == 2, 10, message="that too", interval_s=0.1)
        one, two = changes(tmp_path)
        assert (one.new, two.old, two.new) == (two.old, "7MB", "8MB")
        assert one.at <= two.after < stopped_at < two.at
        daemon.kill9()
        assert deadlocks(tmp_path) == first  # a crash costs what was read since the last writing

        daemon.start_again()
        daemon.read_again("shop", "database_stats")
        assert daemon.stop() == 0
        assert daemon.events("history_not_kept") == []
    points = deadlocks(tmp_path)
    assert points[: len(first)] == first
    assert points[len(first)].at > two.at
    assert changes(tmp_path) == [one, two]
    assert "crm" not in {each.name.place.database for each in stored(tmp_path).series}


def test_another_server_under_the_same_name_begins_anew(start_server: StartServer, tmp_path: Path) -> None:
    first, *others = [each.major for each in installations()]
    if not others:  # those of one version are copies of one cluster
        pytest.skip("needs PostgreSQL in two versions")
    before, after = start_server(first), start_server(others[0])
    with running_daemon(tmp_path, QUICK.format(dsn=before.dsn())) as daemon:
        daemon.read_again("shop", "settings")
        set_memory(before, "7MB")
        poll(lambda: changes(tmp_path), 10, message="the change is written at once", interval_s=0.1)
        daemon.read_again("shop", "database_stats")
        began = datetime.now(UTC)
        daemon.reload(QUICK.format(dsn=after.dsn()))
        daemon.read_again("shop", "settings")
        daemon.read_again("shop", "database_stats")
        assert daemon.stop() == 0
    assert changes(tmp_path) == []
    assert deadlocks(tmp_path)[0].at >= began
