"""Transaction ids that nothing gives back, because somebody holds the horizon; and an ordinary server."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from pgvigil.model.evidence import BlockKind
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support import ids, watching
from tests.support.locks import idle_in_transaction
from tests.support.servers import Database, StartServer
from tests.support.vitals import Vitals

SMALLEST = {"autovacuum_freeze_max_age": "100000", "autovacuum_naptime": "1s"}


def test_an_overdue_freeze_is_told_by_time_and_names_who_is_in_its_way(
    vitals: Callable[..., Vitals], start_server: StartServer
) -> None:
    """At 50 ids a second two billion last 500 days: far, so the limits of this scene are farther."""
    server = start_server(settings=SMALLEST)
    seen = vitals({"xid_wraparound": {"warning_within": "3000d", "critical_within": "1000d"}})
    with (
        closing(watching.watch(server.dsn())) as session,
        idle_in_transaction(server.dsn(), "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1") as holder,
    ):
        for _ in range(5):
            ids.use_xids(server.dsn(), 30_000)
            seen.look(session, after_s=600)
        told = seen.firing["transaction ids"]
        assert told.severity is Level.CRITICAL
        assert "writing stops in 4" in told.summary
        assert f"pid {holder.pid}" in told.evidence.cause
        assert {block.kind for block in told.evidence.blocks} == {BlockKind.TABLE}
        assert any("pg_terminate_backend" in (step.sql or "") for step in told.steps)
        holder.connection.rollback()
        (listed,) = [step.sql for step in told.steps if "VACUUM (FREEZE, VERBOSE)" in (step.sql or "")]
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            rows = admin.execute(listed or "").fetchall()
            assert {len(row) for row in rows} == {1}, "\\gexec runs every column"
            admin.execute(rows[0][0])
        ids.freeze(server)
        seen.look(session, after_s=600)
        seen.look(session, after_s=700)
        assert seen.open == {}


def test_the_healthy_twin_waits_for_its_ordinary_freeze(
    vitals: Callable[..., Vitals], reader: Session, database: Database
) -> None:
    """However quickly ids are used: nothing is overdue before autovacuum has tried."""
    seen = vitals({"xid_wraparound": {"warning_within": "90000d", "critical_within": "80000d"}})
    for _ in range(6):
        ids.use_xids(database.dsn(), 1000)
        seen.look(reader, after_s=600)
    assert seen.open == {}
