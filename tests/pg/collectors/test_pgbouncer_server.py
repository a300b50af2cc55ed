"""Version and settings of a real PgBouncer, and the journal that is made of them."""

from contextlib import closing

from collectors.pgbouncer_server import COLLECTOR, PgbouncerReading
from pgvigil.model.kind import TargetKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import connect
from tests.support import poolers


def test_settings_and_version_are_read_and_journalled(start_pooler: poolers.StartPooler) -> None:
    pooler = start_pooler({"shop": "host=127.0.0.1"}, max_client_conn=50, default_pool_size=7)
    with closing(connect(Dsn.parse(pooler.dsn()), kind=TargetKind.PGBOUNCER)) as session:
        first = COLLECTOR.read(session)
        pooler.configure(default_pool_size=9)
        second = COLLECTOR.read(session)
    assert COLLECTOR.journal is not None
    before, after = COLLECTOR.journal(first), COLLECTOR.journal(second)
    assert first.version == session.facts.version
    assert before["version"] == first.version
    changed = {
        key: (before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)
    }
    assert changed == {"setting default_pool_size": ("7", "9")}
    (family,) = COLLECTOR.families
    assert [family.value(row) for row in family.rows(second)] == [9.0]


def test_what_may_hold_a_secret_is_not_kept(start_pooler: poolers.StartPooler) -> None:
    pooler = start_pooler({"shop": "host=127.0.0.1"}, auth_query="SELECT 'hush', $1")
    with closing(connect(Dsn.parse(pooler.dsn()), kind=TargetKind.PGBOUNCER)) as session:
        reading: PgbouncerReading = COLLECTOR.read(session)
    assert "hush" not in repr(reading)
    assert reading.settings["auth_type"] == "md5"
