"""The collector `prepared_transactions` on real servers."""

from contextlib import closing

import psycopg
import pytest

from collectors.prepared_transactions import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support import servers, watching
from tests.support.servers import StartServer

MAJORS = [each.major for each in servers.installations()]
GID = "it's <!channel> \\ \u202e"


def test_without_any_there_is_nothing(reader: Session) -> None:
    assert COLLECTOR.read(reader) == ()


@pytest.mark.parametrize("major", MAJORS)
def test_it_has_its_locks_and_its_age(major: int, start_server: StartServer) -> None:
    """Those of another database too; the strongest lock comes first."""
    server = start_server(major, settings={"max_prepared_transactions": "5"})
    with (
        psycopg.connect(server.dsn(), autocommit=True, cursor_factory=psycopg.ClientCursor) as admin,
        closing(watching.watch(server.dsn("template1"))) as session,
    ):
        admin.execute("CREATE TABLE read (id int); CREATE TABLE locked (id int)")
        admin.execute("BEGIN; SELECT count(*) FROM read; LOCK TABLE locked; INSERT INTO read VALUES (1)")
        admin.execute("PREPARE TRANSACTION %s", (GID,))
        admin.execute("BEGIN; INSERT INTO read VALUES (2); PREPARE TRANSACTION 'younger'")
        [(oid, database)] = admin.execute(
            "SELECT 'locked'::regclass::oid::int8, oid::int8 FROM pg_database WHERE datname = 'postgres'"
        ).fetchall()
        first, second = COLLECTOR.read(session)
        assert (first.gid, first.owner, first.database, first.database_oid) == (
            GID,
            "postgres",
            "postgres",
            database,
        )
        assert (first.strongest, first.relations[0], first.locks) == ("AccessExclusiveLock", oid, 3)
        assert 0 <= first.age_s < 60
        assert first.xid_age >= 1
        assert (second.gid, second.strongest) == ("younger", "RowExclusiveLock")
        admin.execute("ROLLBACK PREPARED %s", (GID,))
        assert [row.gid for row in COLLECTOR.read(session)] == ["younger"]
