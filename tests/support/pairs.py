"""A primary and its standby by streaming replication, and what happens to pairs."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from pgvigil.postgres.session import Session
from pgvigil.scratch.account import clean_environment
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.polling import poll
from tests.support.servers import StartServer

REPLICATING = {"wal_level": "replica", "max_wal_senders": "4", "hot_standby": "on"}


def start_pair(start: StartServer, **settings: str) -> tuple[ScratchServer, ScratchServer]:
    """A primary and a hot standby that streams from it, both on ports of their own and of the same version."""
    primary = start(settings={**REPLICATING, **settings})
    standby = start(settings={**REPLICATING, **settings})
    make_standby(standby, primary)
    return primary, standby


def make_standby(server: ScratchServer, primary: ScratchServer) -> None:
    """`server` loses its data and becomes a copy of `primary` that follows it; it keeps its port."""
    server.stop("immediate")
    owner = server.directory.stat()
    shutil.rmtree(server.data)
    copy = subprocess.run(
        [
            server.binaries.program("pg_basebackup"),
            "-D",
            server.data,
            "-R",
            "-c",
            "fast",
            "-d",
            primary.dsn(),
        ],
        env=clean_environment(),
        cwd="/",
        capture_output=True,
        text=True,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        timeout=60,
        check=False,
    )
    assert copy.returncode == 0, copy.stderr
    with (server.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(f"unix_socket_directories = '{server.socket_directory}'\n")
    # pg_basebackup writes down every default that its libpq knows, and the server may be linked with an older one.
    followed = primary.dsn().replace("'", "''")
    with (server.data / "postgresql.auto.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(f"primary_conninfo = '{followed}'\n")
    server.start_again()
    caught_up(primary, server)


def caught_up(primary: ScratchServer, standby: ScratchServer, *, deadline_s: float = 20.0) -> None:
    """Wait until the standby has all that the primary has written."""
    with (
        psycopg.connect(primary.dsn(), autocommit=True) as writer,
        psycopg.connect(standby.dsn(), autocommit=True) as reader,
    ):
        writer.execute("SET synchronous_commit = local")  # what was committed before is written as well
        writer.execute("SELECT pg_logical_emit_message(true, 'tests', '')")
        row = writer.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
        assert row is not None
        query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        poll(
            lambda: reader.execute(query, row).fetchone() == (True,),
            deadline_s,
            message="the standby caught up",
        )


@contextmanager
def watched(primary: ScratchServer, standby: ScratchServer) -> Iterator[tuple[Session, Session]]:
    """Sessions of the watch role on both."""
    with closing(watching.watch(primary.dsn())) as on_primary:
        with psycopg.connect(standby.dsn(), autocommit=True) as admin:
            query = "SELECT count(*) FROM pg_roles WHERE rolname = %s"
            poll(
                lambda: admin.execute(query, [watching.ROLE]).fetchone() == (1,),
                20,
                message="the role is there",
            )
        with closing(watching.watch_standby(standby.dsn())) as on_standby:
            yield on_primary, on_standby


def promote(standby: ScratchServer) -> None:
    """Make it the primary; returns when it is."""
    with psycopg.connect(standby.dsn(), autocommit=True) as admin:
        assert admin.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)
