"""The disk of a watched server is full: what it still answers is read, and what it no longer answers is told."""

from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.disks import fill, small_disk
from tests.support.polling import poll
from tests.support.servers import StartServer

CONFIG = """
[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[collectors.statements]
interval = "1s"

[collectors.constraints]
interval = "1s"

[rules.target_down]
for = "2s"

[[targets]]
name = "shop"
dsn = "{dsn}"
"""
# Tables stop growing with an error; WAL needs one new file after the other, and cannot go without.
WRITES = (
    "INSERT INTO big SELECT repeat(md5(n::text), 100) FROM generate_series(1, 1000) AS n",
    "SELECT pg_logical_emit_message(false, 'test', repeat('x', 8000000))",
    "SELECT pg_switch_wal()",
)


def write_until_it_dies(server: ScratchServer) -> None:
    """Statements fail for want of space; in the end WAL has none, which the server does not survive."""

    def dead() -> bool:
        for statement in WRITES:
            with suppress(psycopg.Error), psycopg.connect(server.dsn(), autocommit=True) as writer:
                writer.execute(statement)
        return "PANIC" in server.log.read_text()

    poll(dead, 40, message="the server dies of it")


def read_at(daemon: RunningDaemon) -> dict[str, str]:
    """When each of the collectors that read every second last succeeded."""
    every_second = [
        one for one in daemon.target("shop")["collectors"] if f"[collectors.{one['collector']}]" in CONFIG
    ]
    return {one["collector"]: one["last_success_at"] for one in every_second}


@pytest.mark.long
def test_a_server_whose_disk_is_full_is_watched_until_it_dies_and_again_when_it_lives(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Full is no outage: reads go on, and need no disk. The crash is one incident, which names the disk to look at."""
    with small_disk(size_mb=150) as disk:
        server = start_server(
            directory=disk,
            settings={"max_wal_size": "32MB", "min_wal_size": "32MB", "logging_collector": "off"},
        )
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements; CREATE TABLE big (t text)")
        try:
            with running_daemon(tmp_path, CONFIG.format(dsn=server.dsn())) as daemon:
                poll(lambda: daemon.target("shop")["up"], 20)
                ballast = fill(disk)
                before = read_at(daemon)
                poll(
                    lambda: all(at != before[name] for name, at in read_at(daemon).items()),
                    20,
                    message="everything is read on",
                )
                assert daemon.incidents() == []
                write_until_it_dies(server)
                down = daemon.wait_incident("target_down", "firing")
                assert "disk" in str(down["actions"])
                ballast.unlink()
                server.stop()
                server.start_again()
                daemon.wait_incident("target_down", "resolved")
                assert {one["rule"] for one in daemon.incidents() if one["fired_at"]} == {"target_down"}
                assert not daemon.events("job_failed")
        finally:
            server.close()  # before its disk goes
