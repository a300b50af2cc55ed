"""cluster: role and timeline, at once after a promotion."""

from collectors.cluster import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.pairs import promote, start_pair, watched
from tests.support.servers import Database, StartServer


def test_a_primary_that_never_followed(reader: Session, each_database: Database) -> None:
    reading = COLLECTOR.read(reader)
    assert (reading.role, reading.timeline, reading.streamed) == ("primary", 1, False)
    [(identifier,)] = each_database.execute("SELECT system_identifier FROM pg_control_system()")
    assert reading.system_identifier == identifier


def test_a_promotion_shows_in_role_and_timeline(start_server: StartServer) -> None:
    """Before any checkpoint; and that it streamed is still known afterwards."""
    primary, standby = start_pair(start_server)
    with watched(primary, standby) as (_, there):
        before = COLLECTOR.read(there)
        assert (before.role, before.timeline, before.streamed) == ("standby", 1, True)
        promote(standby)
        after = COLLECTOR.read(there)
        assert (after.role, after.timeline, after.streamed) == ("primary", 2, True)
        assert after.system_identifier == before.system_identifier
        assert after.started_at == before.started_at
