"""The collector `slru` on real servers."""

from collectors.slru import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database


def test_looking_up_transactions_is_counted(reader: Session, each_database: Database) -> None:
    def hits() -> int:
        rows = {row.name.lower(): row for row in COLLECTOR.read(reader)}
        assert len(rows) >= 7
        return rows.get("xact", rows.get("transaction")).blks_hit

    before = hits()
    each_database.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS id")
    each_database.execute("SELECT count(*) FROM t")
    poll(lambda: hits() > before, 10, message="the transaction status was looked up")
