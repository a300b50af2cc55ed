"""subscriptions: workers, errors and unfinished tables of real logical replication."""

from contextlib import closing

import psycopg

from collectors.subscriptions import COLLECTOR, Subscription, SubscriptionsReading
from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.polling import poll
from tests.support.publishing import start_publisher, subscribed
from tests.support.servers import StartServer


def test_without_subscriptions_there_is_nothing(reader: Session) -> None:
    assert COLLECTOR.read(reader) == SubscriptionsReading()


def test_a_subscription_is_told_in_its_own_database(start_server: StartServer) -> None:
    server = start_publisher(start_server)

    def mine() -> Subscription:
        (found,) = COLLECTOR.read(session).subscriptions
        return found

    with (
        closing(watching.watch(server.dsn("there"))) as session,
        closing(watching.watch(server.dsn("here"))) as elsewhere,
        subscribed(server) as admin,
    ):
        poll(lambda: mine().pid is not None and mine().unready == 0, 20, message="it receives")
        assert (mine().name, mine().enabled, mine().slot, mine().tables) == ("shop", True, "shop", 1)
        assert COLLECTOR.read(elsewhere).subscriptions == ()
        with psycopg.connect(server.dsn("here"), autocommit=True) as publisher:
            publisher.execute("INSERT INTO orders VALUES (1)")
            admin.execute("INSERT INTO orders VALUES (2)")
            publisher.execute("INSERT INTO orders VALUES (2)")  # it cannot be applied
        poll(lambda: (mine().errors or 0) >= 2, 20, message="errors are counted")
        admin.execute("ALTER SUBSCRIPTION shop DISABLE")
        poll(lambda: not mine().enabled and mine().pid is None, 20, message="it is disabled")
