"""subscriptions: workers, errors and unfinished tables of real logical replication."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from collectors.subscriptions import COLLECTOR, Subscription, SubscriptionsReading
from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.polling import poll
from tests.support.publishing import start_publisher, subscribed
from tests.support.servers import Database, StartServer


def test_without_subscriptions_there_is_nothing(reader: Session) -> None:
    assert COLLECTOR.read(reader) == SubscriptionsReading()


def test_who_may_not_look_into_them_is_told_how_many_there_are(
    as_role: Callable[..., Session], each_database: Database
) -> None:
    """From 14 on everybody may; before, it takes the grant that the problem names."""
    session = as_role("pg_monitor")
    name = each_database.name
    each_database.execute(
        f"CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false, slot_name = NONE)"
    )
    try:
        reading = COLLECTOR.read(session)
        open_to_all = session.facts.version_num >= 140000
        assert (len(reading.subscriptions), reading.unreadable) == ((1, 0) if open_to_all else (0, 1))
    finally:
        each_database.execute(f"DROP SUBSCRIPTION {name}")


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
