"""Thirty reloads leave what there was: no thread, no file, no connection more."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.network import silent_listener
from tests.support.polling import poll
from tests.support.reloading import NOT_VALID, Config, ours, watching
from tests.support.servers import Database, Server, fresh_database

RELOADS = 30
SCREEN = 'kind = "console"\nstream = "stderr"\n'
RULE = "constraint_not_valid"


@pytest.fixture
def databases(server: Server) -> Iterator[list[Database]]:
    """Two, each with something to tell of."""
    with fresh_database(server) as one, fresh_database(server) as other:
        for database in (one, other):
            for statement in filter(str.strip, NOT_VALID.split(";")):
                database.execute(statement)
        yield [one, other]


def held(daemon: RunningDaemon, databases: list[Database]) -> dict[str, int]:
    """What leaks show in: threads but those of the pools, open files but the store's, our connections.

    Pools of workers and the readers of the store grow on demand, to a limit.
    """
    pid = daemon.process.pid
    pools = ("polls", "connects", "retries")
    pooled = sum(daemon.metric(f'pgvigil_pool_threads{{pool="{pool}"}}') or 0 for pool in pools)
    files = list(Path(f"/proc/{pid}/fd").iterdir())
    return {
        "threads": psutil.Process(pid).num_threads() - int(pooled),
        "files": sum("pgvigil.db" not in linked(file) for file in files),
        "connections": sum(len(ours(database)) for database in databases),
    }


def linked(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile
        return "pgvigil.db"


def not_more(now: dict[str, int], before: dict[str, int]) -> bool:
    """Within what comes and goes by itself: far less than one for each reload."""
    return all(now[key] <= before[key] + RELOADS // 5 for key in before)


def test_thirty_reloads_leave_threads_files_and_connections_where_they_were(
    databases: list[Database], tmp_path: Path
) -> None:
    """Targets that answer, refuse and stay silent, and a sink, come and go; one target stays and never notices."""
    stays, comes = databases
    with silent_listener() as port:
        come_and_go = {
            "comes": watching(comes),
            "refuses": 'dsn = "host=127.0.0.1 port=1 dbname=shop"\n',
            "mute": f'dsn = "host=127.0.0.1 port={port} dbname=shop"\n',
        }
        config = Config(targets={"stays": watching(stays)}, sinks={"screen": SCREEN})
        with running_daemon(tmp_path, config.text()) as daemon:
            [before] = [daemon.wait_incident(RULE, "firing", target="stays")]
            connection = poll(lambda: dict(ours(stays)), 20)
            one_round(daemon, config, come_and_go)
            before_all = held(daemon, databases)
            for _ in range(RELOADS // 2 - 1):
                one_round(daemon, config, come_and_go)
            after_all = poll(lambda: at_rest(daemon, databases, before_all), 60)
            assert after_all["connections"] <= 2, "the lanes of the one target that stays"
            assert ours(stays).items() >= {min(connection.items(), key=lambda one: one[1])}
            [after] = daemon.incidents(RULE, target="stays")
            assert (after["id"], after["state"], after["since"]) == (before["id"], "firing", before["since"])
            assert daemon.get("/healthz") == (200, "ok\n")
            assert not daemon.events("work_failed")
            assert not daemon.events("thread_died")
            assert daemon.stop() == 0


def one_round(daemon: RunningDaemon, config: Config, come_and_go: dict[str, str]) -> None:
    """They come, are seen to fire or to be down, and go; what they said is at an end."""
    stays = config.targets["stays"]
    config.targets = {"stays": stays, **come_and_go}
    config.sinks = {"screen": SCREEN, "second": SCREEN}
    daemon.reload(config.text())
    daemon.wait_incident(RULE, "firing", target="comes")
    daemon.wait_incident("target_down", "firing", target="refuses")
    config.targets = {"stays": stays}
    config.sinks = {"screen": SCREEN}
    daemon.reload(config.text())
    daemon.wait_incident(RULE, "resolved", target="comes")
    daemon.wait_incident("target_down", "resolved", target="refuses")


def at_rest(
    daemon: RunningDaemon, databases: list[Database], before: dict[str, int]
) -> dict[str, int] | None:
    """What is held when no more than before is; workers that waited for a silent target leave some seconds later."""
    now = held(daemon, databases)
    return now if not_more(now, before) and now["connections"] <= 2 else None
