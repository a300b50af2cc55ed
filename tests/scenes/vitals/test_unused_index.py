"""An index that nobody uses: on a server alone, and in a cluster where somebody may use it elsewhere."""

from contextlib import ExitStack, closing
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgvigil.model.facts import Facts
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import connect
from tests.support import watching
from tests.support.design_scenes import HOUR_S, Make, fires_and_resolves
from tests.support.pairs import caught_up, start_pair
from tests.support.polling import poll
from tests.support.servers import Database, StartServer
from tests.support.vitals import Vitals

AT_ONCE = {"unused_index": {"min_size": "8kB", "min_unused": "0s"}}
WEEK_H = 7 * 24.0 + 1
IDLE = "index public.idle"
ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, customer int)"
USE = "SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT id FROM orders WHERE customer = 5"


def test_an_index_that_nobody_uses_fires_and_resolves(vitals: Make, database: Database) -> None:
    database.execute(ORDERS)
    incident = fires_and_resolves(
        vitals(AT_ONCE), database, subject=IDLE, wrong="CREATE INDEX idle ON orders (customer)", hours=WEEK_H
    )
    assert incident.severity is Level.INFO
    assert incident.summary == "Index idle (8192 bytes) on public.orders has not been used for 0 days"


def test_an_index_of_a_young_server_is_not_told(vitals: Make, database: Database) -> None:
    """The statistics do not reach back far enough, whatever pgvigil's own clock says."""
    database.execute(f"{ORDERS}; CREATE INDEX idle ON orders (customer)")
    watched = vitals({"unused_index": {"min_size": "8kB"}})
    with closing(watching.watch(database.dsn())) as session:
        watched.look(session)
        watched.look(session, after_s=WEEK_H * HOUR_S)
    assert watched.open == {}


@dataclass(frozen=True)
class Watched:
    """Another target of the cluster, as rules know it."""

    vitals: Vitals
    up: bool = True

    @property
    def name(self) -> str:
        return self.vitals.target

    @property
    def facts(self) -> Facts | None:
        return self.vitals.pipeline.facts

    def latest(self, feed: str, database: str | None = None) -> Snapshot[object] | Delta[object] | None:
        return self.vitals.pipeline.latest(feed, database)


class Cluster:
    """A primary and its standby, both watched; `look` reads the standby, then the primary."""

    def __init__(self, vitals: Make, start: StartServer) -> None:
        self.primary, self.standby = start_pair(start)
        with psycopg.connect(self.primary.dsn(), autocommit=True) as admin:
            admin.execute(ORDERS)
            admin.execute("CREATE INDEX idle ON orders (customer)")
        self.replica = vitals(AT_ONCE, target="replica", peers=lambda: (Watched(self.main),))
        self.main: Vitals = vitals(AT_ONCE, target="main", peers=lambda: (Watched(self.replica),))
        role = conninfo_to_dict(watching.watch_dsn(self.primary.dsn()))
        caught_up(self.primary, self.standby)
        login = {"user": role["user"], "password": role["password"]}
        self.dsns = [Dsn.parse(make_conninfo(each.dsn(), **login)) for each in (self.primary, self.standby)]

    def look(self, *, replica: bool = True) -> None:
        with ExitStack() as stack:
            main, other = (stack.enter_context(closing(connect(dsn))) for dsn in self.dsns)
            for after_s in (0.0, WEEK_H * HOUR_S):
                if replica:
                    self.replica.look(other, after_s=after_s)
                else:
                    self.replica.wait(after_s)
                self.main.look(main, after_s=after_s)


@pytest.fixture
def cluster(vitals: Make, start_server: StartServer) -> Cluster:
    return Cluster(vitals, start_server)


def test_in_a_cluster_every_server_must_say_so(cluster: Cluster) -> None:
    cluster.look(replica=False)
    assert cluster.main.open == {}, "nobody has asked the standby"
    cluster.look()
    assert cluster.main.firing.keys() == {IDLE}
    assert cluster.replica.open == {}, "it is told by the primary"
    cluster.look(replica=False)
    assert cluster.main.open[IDLE].state is State.UNKNOWN, "the standby has not been read for a week"
    assert cluster.main.open[IDLE].reason == "not known on replica"
    with psycopg.connect(cluster.standby.dsn(), autocommit=True) as reports:
        reports.execute(USE)
        reports.execute("SELECT 1")
        counted = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'idle'"
        poll(lambda: reports.execute(counted).fetchone() == (1,), message="the scan is counted")
    cluster.look()
    assert cluster.main.open == {}, "reports on the standby use it"
