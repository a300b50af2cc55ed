"""subscription_errors: a conflict that comes back every time is told, and is over when the row is mended."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

import psycopg
import pytest

from collectors.subscriptions import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.polling import poll
from tests.support.publishing import start_publisher, subscribed
from tests.support.servers import StartServer, installations
from tests.support.vitals import Vitals

MAJORS = sorted({each.major for each in installations()})


def failures(session: Session) -> int:
    return COLLECTOR.read(session).subscriptions[0].errors or 0


@pytest.mark.skipif(MAJORS[-1] < 15, reason="errors are counted from PostgreSQL 15 on")
def test_a_conflict_is_told_until_the_row_is_mended(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    server = start_publisher(partial(start_server, MAJORS[-1]))
    scene = vitals({"subscription_errors": {}})
    with (
        closing(watching.watch(server.dsn("there"))) as session,
        subscribed(server) as admin,
        psycopg.connect(server.dsn("here"), autocommit=True) as publisher,
    ):
        poll(lambda: COLLECTOR.read(session).subscriptions[0].unready == 0, 20)
        scene.look(session)
        scene.look(session, after_s=60)
        assert scene.open == {}
        admin.execute("INSERT INTO orders VALUES (1)")
        publisher.execute("INSERT INTO orders VALUES (1)")
        poll(lambda: failures(session) >= 4, 30, message="it fails again and again")
        scene.look(session, after_s=60)
        told = scene.firing["subscription shop"]
        assert told.severity is Level.WARNING
        assert told.summary.startswith("Subscription shop failed ")
        admin.execute("DELETE FROM orders")
        poll(
            lambda: admin.execute("SELECT count(*) FROM orders").fetchone() == (1,),
            30,
            message="it is applied",
        )
        for after_s in (60, 601, 301):
            scene.look(session, after_s=after_s)
        assert scene.open == {}
