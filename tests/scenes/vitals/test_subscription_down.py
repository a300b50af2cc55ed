"""subscription_down: no worker is critical; switched off by a person is a warning; one that receives is silent."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from collectors.subscriptions import COLLECTOR
from pgvigil.model.level import Level
from tests.support import watching
from tests.support.polling import poll
from tests.support.publishing import start_publisher, subscribed
from tests.support.servers import StartServer
from tests.support.vitals import Vitals


def test_a_subscription_without_worker_is_told_and_one_that_receives_is_not(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    server = start_publisher(start_server)
    scene = vitals({"subscription_down": {}})
    with closing(watching.watch(server.dsn("there"))) as session, subscribed(server) as admin:
        poll(lambda: COLLECTOR.read(session).subscriptions[0].pid is not None, 20)
        poll(lambda: COLLECTOR.read(session).subscriptions[0].unready == 0, 20)
        scene.look(session)
        scene.look(session, after_s=600)
        assert scene.open == {}

        admin.execute("ALTER SUBSCRIPTION shop DISABLE")
        poll(lambda: COLLECTOR.read(session).subscriptions[0].pid is None, 20)
        for after_s in (60, 301):
            scene.look(session, after_s=after_s)
        told = scene.firing["subscription shop"]
        assert (told.severity, told.summary) == (Level.WARNING, "Subscription shop is switched off")
        assert told.database == "there"

        with psycopg.connect(server.dsn(), autocommit=True) as owner:
            owner.execute("ALTER SYSTEM SET max_logical_replication_workers = 0")
        server.restart()
    with (
        closing(watching.watch(server.dsn("there"))) as session,
        psycopg.connect(server.dsn("there"), autocommit=True) as admin,
    ):
        admin.execute("ALTER SUBSCRIPTION shop ENABLE")
        scene.look(session, after_s=60)
        told = scene.firing["subscription shop"]
        assert told.severity is Level.CRITICAL
        assert told.summary == "Subscription shop is enabled and has no worker"
        admin.execute("ALTER SYSTEM RESET max_logical_replication_workers")
        server.restart()
    with closing(watching.watch(server.dsn("there"))) as session:
        poll(lambda: COLLECTOR.read(session).subscriptions[0].pid is not None, 20)
        scene.look(session, after_s=60)
        assert scene.open == {}
