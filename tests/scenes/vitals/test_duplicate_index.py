"""An index is made a second time, and dropped again."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals

HOUR_S = 3600.0


def test_a_second_index_of_the_same_kind_fires_and_resolves(
    vitals: Callable[..., Vitals], database: Database
) -> None:
    database.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, customer int); CREATE INDEX first ON orders (customer)"
    )
    watched = vitals({"duplicate_index": {}})
    with closing(watching.watch(database.dsn())) as session:
        watched.look(session)
        assert watched.open == {}
        database.execute("CREATE INDEX second ON orders (customer)")
        watched.look(session, after_s=HOUR_S)
        assert watched.firing == {}, "a migration may be about to drop the old one"
        watched.look(session, after_s=HOUR_S)
        incident = watched.firing["index public.second"]
        assert incident.severity is Level.INFO
        assert incident.summary == "Index second on public.orders duplicates first (8192 bytes)"
        database.execute(incident.steps[0].sql or "")
        watched.look(session, after_s=HOUR_S)
        assert watched.open == {}
