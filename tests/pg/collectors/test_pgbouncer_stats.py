"""What went through a real PgBouncer."""

from contextlib import closing

from collectors.pgbouncer_stats import COLLECTOR, DatabaseTraffic
from pgvigil.model.kind import TargetKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from tests.support import poolers
from tests.support.polling import poll
from tests.support.servers import Database


def traffic(session: Session) -> dict[str, DatabaseTraffic]:
    return {row.database: row for row in COLLECTOR.read(session)}


def test_transactions_queries_bytes_and_times_are_counted(
    database: Database, start_pooler: poolers.StartPooler
) -> None:
    pooler = start_pooler({"shop": poolers.line(database.dsn())}, pool_mode="transaction")
    with closing(connect(Dsn.parse(pooler.dsn()), kind=TargetKind.PGBOUNCER)) as session:
        assert "pgbouncer" not in traffic(session)
        with pooler.client() as client:
            for _ in range(5):
                client.execute("SELECT pg_sleep(0.01)")

        def counted() -> bool:
            shop = traffic(session).get("shop")
            return shop is not None and shop.xact_count >= 5

        poll(counted)
        shop = traffic(session)["shop"]
        assert shop.query_count >= 5
        assert min(shop.received_bytes, shop.sent_bytes) > 0
        assert shop.query_time_us >= 50_000
        exported = {
            family.name: [family.value(row) for row in family.rows((shop,))] for family in COLLECTOR.families
        }
        assert exported["pgbouncer_transactions"] == [shop.xact_count]
        assert exported["pgbouncer_query_seconds"] == [shop.query_time_us / 1_000_000]
