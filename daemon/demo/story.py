"""Trouble for the demo, each piece real: a scene makes it, and undoes it however far it came."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from pgvigil.model.level import Level
from pgvigil.postgres import plain
from pgvigil.scratch.server import ScratchServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`begin` and `undo` may each be called again; both raise `plain.Error` when the server cannot do it.

    `rules` are those that should see it, at level `until` at least, before it is undone `hold_s` later; a
    `lasting` scene stays while the others play.
    """

    title: str
    begin: Callable[[], None]
    remedy: str
    undo: Callable[[], None]
    rules: tuple[str, ...]
    until: Level = Level.WARNING
    hold_s: float = 2.0
    lasting: bool = False


class Migration:
    """Somebody's migration, half done: a constraint never validated, and a unique index that could not be built."""

    APPLICATION = "migration 0042"

    def __init__(self, shop_dsn: str) -> None:
        self._dsn = shop_dsn

    def begin(self) -> None:
        plain.execute(
            self._dsn,
            "DROP INDEX IF EXISTS payments_one_per_order",
            "ALTER TABLE payments DROP CONSTRAINT IF EXISTS payments_customer_fk",
            "ALTER TABLE payments ADD CONSTRAINT payments_customer_fk"
            " FOREIGN KEY (customer_id) REFERENCES customers NOT VALID",
            application_name=self.APPLICATION,
        )
        # Orders are paid in parts, so this fails on duplicates, and the failed build stays behind as invalid.
        with contextlib.suppress(plain.Error):
            plain.execute(
                self._dsn,
                "CREATE UNIQUE INDEX CONCURRENTLY payments_one_per_order ON payments (order_id)",
                application_name=self.APPLICATION,
            )

    def undo(self) -> None:
        """What people would do: validate the constraint, drop the index."""
        plain.execute(
            self._dsn,
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'payments_customer_fk') THEN"
            " ALTER TABLE payments VALIDATE CONSTRAINT payments_customer_fk; END IF; END $$",
            "DROP INDEX CONCURRENTLY IF EXISTS payments_one_per_order",
            application_name=self.APPLICATION,
        )


class LockPileUp:
    """A report forgets its transaction; an ALTER TABLE queues behind it, and the checkout behind that."""

    def __init__(self, shop_dsn: str) -> None:
        self._dsn = shop_dsn
        self._report: plain.Connection | None = None
        self._alter: threading.Thread | None = None

    def begin(self) -> None:
        self.undo()
        self._report = plain.connect(self._dsn, application_name="nightly report", autocommit=False)
        self._report.execute("SELECT status, count(*), sum(total) FROM orders GROUP BY status")
        self._alter = threading.Thread(target=self._queue_alter, name="migration", daemon=True)
        self._alter.start()

    def undo(self) -> None:
        report, self._report = self._report, None
        if report is not None:
            report.close()
        if self._alter is not None:
            self._alter.join(timeout=10)
            self._alter = None
        plain.execute(
            self._dsn, "ALTER TABLE orders DROP COLUMN IF EXISTS gift_note", application_name="migration 0043"
        )

    def _queue_alter(self) -> None:
        with contextlib.suppress(plain.Error):  # the server may be stopped in the middle
            plain.execute(
                self._dsn,
                "ALTER TABLE orders ADD COLUMN IF NOT EXISTS gift_note text",
                application_name="migration 0043",
            )


class DroppedIndex:
    """An index that looked unused is dropped, and every basket becomes a scan of the table."""

    def __init__(self, shop_dsn: str) -> None:
        self._dsn = shop_dsn

    def begin(self) -> None:
        plain.execute(self._dsn, "DROP INDEX IF EXISTS order_items_order_id_idx", application_name="clean-up")

    def undo(self) -> None:
        plain.execute(
            self._dsn,
            "CREATE INDEX IF NOT EXISTS order_items_order_id_idx ON order_items (order_id)",
            application_name="clean-up",
        )


class Restart:
    """The server goes away for a while."""

    def __init__(self, server: ScratchServer) -> None:
        self._server = server

    def begin(self) -> None:
        self._server.stop("fast")

    def undo(self) -> None:
        if not self._server.running:
            self._server.start_again()


def scenes(server: ScratchServer, shop_dsn: str) -> tuple[Scene, ...]:
    """The story in its order. The migration's leftovers stay while the others play."""
    migration, pile_up = Migration(shop_dsn), LockPileUp(shop_dsn)
    dropped, restart = DroppedIndex(shop_dsn), Restart(server)
    return (
        Scene(
            title="A migration leaves a constraint NOT VALID and a unique index that could not be built.",
            begin=migration.begin,
            remedy="The constraint is validated and the broken index dropped.",
            undo=migration.undo,
            rules=("constraint_not_valid", "invalid_index"),
            lasting=True,
        ),
        Scene(
            title="Somebody drops the index that every basket needs.",
            begin=dropped.begin,
            remedy="The index is built again.",
            undo=dropped.undo,
            rules=("slow_query",),
            hold_s=2.0,
        ),
        Scene(
            title="A report forgets its transaction; ALTER TABLE queues behind it, and the checkout behind that.",
            begin=pile_up.begin,
            remedy="The forgotten transaction ends.",
            undo=pile_up.undo,
            rules=("blocking_chain",),
            until=Level.CRITICAL,
        ),
        Scene(
            title="The server is stopped.",
            begin=restart.begin,
            remedy="The server is started again.",
            undo=restart.undo,
            rules=("target_down",),
        ),
    )
