"""Scenes of a PgBouncer: a pool of one connection, one client that has it and others that wait."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from pgvigil.model.incident import Incident
from pgvigil.model.kind import TargetKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from tests.support import poolers
from tests.support.polling import poll
from tests.support.vitals import PLUGINS, Vitals


class PooledScene:
    """`look` reads the pooler as the watch user does, and has the rules judge it."""

    def __init__(self, vitals: Vitals, pooler: poolers.Pooler, session: Session) -> None:
        self.vitals = vitals
        self.pooler = pooler
        self.session = session

    def look(self, after_s: float = 0.0) -> None:
        self.vitals.look(self.session, after_s=after_s)

    def fired(self) -> Incident:
        """The first incident that fires, looking again and again until one does."""

        def told() -> bool:
            self.look()
            return bool(self.vitals.firing)

        poll(told)
        return next(iter(self.vitals.firing.values()))

    def pool(self) -> dict[str, str | None]:
        """The pool of the shop as an administrator sees it."""
        return next(row for row in self.pooler.admin("SHOW POOLS") if row["database"] == "shop")

    @contextmanager
    def waiting(self, clients: int = 1, longest_s: float = 0.0) -> Iterator[None]:
        """One client holds the only server connection, and so many wait for it at least so long."""
        with self.pooler.client() as holder, closing_all() as queue:
            holder.execute("BEGIN")
            for _ in range(clients):
                queue(self.pooler.client()).pgconn.send_query(b"SELECT 1")

            def reached() -> bool:
                pool = self.pool()
                waited_s = int(pool["maxwait"] or 0) + int(pool["maxwait_us"] or 0) / 1_000_000
                return int(pool["cl_waiting"] or 0) == clients and waited_s >= longest_s

            poll(reached)
            yield
            holder.execute("COMMIT")


@contextmanager
def closing_all() -> Iterator[Callable[[psycopg.Connection[Any]], psycopg.Connection[Any]]]:
    """Clients whose query may never be answered: they are cut off at the end."""
    opened: list[psycopg.Connection[Any]] = []

    def kept(client: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
        opened.append(client)
        return client

    try:
        yield kept
    finally:
        for client in opened:
            client.pgconn.finish()


@contextmanager
def pooled_scene(
    vitals: Callable[..., Vitals],
    start_pooler: poolers.StartPooler,
    dsn: str,
    rules: dict[str, dict[str, object]] | None,
    **settings: object,
) -> Iterator[PooledScene]:
    """A PgBouncer with the database `shop`, in transaction mode; `settings` are more of its keys.

    Without `rules` all that are for poolers judge, with their defaults.
    """
    given = {"pool_mode": "transaction", "default_pool_size": 1} | settings
    pooler = start_pooler({"shop": poolers.line(dsn)}, **given)
    if rules is None:
        rules = {name: {} for name in PLUGINS.rules if name.startswith("pgbouncer_")}
    watched = vitals(rules, target="pool", kind=TargetKind.PGBOUNCER)
    with closing(connect(Dsn.parse(pooler.dsn()), kind=TargetKind.PGBOUNCER)) as session:
        yield PooledScene(watched, pooler, session)
