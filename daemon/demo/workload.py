"""People buy in the shop: a mixed read-write workload of our own threads."""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from daemon.demo.shop import CUSTOMERS, ORDERS
from pgvigil.postgres import plain

Parameters = Callable[[random.Random], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Shape:
    """One statement of the application, and values for its parameters."""

    name: str
    sql: LiteralString
    parameters: Parameters


# Numbers go as text: psycopg would send small ones as smallint, large ones as integer, and that makes two statements.
def _customer(dice: random.Random) -> Sequence[str]:
    return [str(dice.randint(1, CUSTOMERS))]


def _order(dice: random.Random) -> Sequence[str]:
    return [str(dice.randint(1, ORDERS))]


# What touches `orders` waits while the story queues an ALTER TABLE on it; browsing goes on.
BROWSING: tuple[Shape, ...] = (
    Shape("customer", "SELECT id, email, country FROM customers WHERE id = %s", _customer),
    Shape(
        "sign-in",
        "SELECT id, last_seen_at FROM customers WHERE email = %s",
        lambda dice: [f"customer{dice.randint(1, CUSTOMERS)}@example.com"],
    ),
    Shape("seen", "UPDATE customers SET last_seen_at = now() WHERE id = %s", _customer),
    Shape("basket", "SELECT sku, quantity, price FROM order_items WHERE order_id = %s", _order),
    Shape("basket total", "SELECT sum(quantity * price) FROM order_items WHERE order_id = %s", _order),
    Shape(
        "add to basket",
        "INSERT INTO order_items (order_id, sku, quantity, price) VALUES (%s, %s, 1, 9.99)",
        lambda dice: [*_order(dice), f"SKU-{dice.randint(1, 5000)}"],
    ),
    Shape("payments of order", "SELECT id, amount, method FROM payments WHERE order_id = %s", _order),
    Shape(
        "latest payments",
        "SELECT method, sum(amount) FROM (SELECT method, amount FROM payments ORDER BY paid_at DESC LIMIT 100)"
        " AS latest GROUP BY method",
        lambda _dice: [],
    ),
    Shape(
        "pay",
        "INSERT INTO payments (order_id, customer_id, amount, method, paid_at) VALUES (%s, %s, 9.99, 'card', now())",
        lambda dice: [*_order(dice), *_customer(dice)],
    ),
)
ORDERING: tuple[Shape, ...] = (
    Shape(
        "orders of customer",
        "SELECT id, status, total FROM orders WHERE customer_id = %s ORDER BY created_at DESC LIMIT 10",
        _customer,
    ),
    Shape("order", "SELECT id, status, total, created_at FROM orders WHERE id = %s", _order),
    Shape("ship", "UPDATE orders SET status = 'shipped' WHERE id = %s", _order),
    Shape(
        "new order",
        "INSERT INTO orders (customer_id, status, total, created_at) VALUES (%s, 'paid', 9.99, now())",
        _customer,
    ),
    Shape(
        "order and customer",
        "SELECT o.id, o.status, c.email FROM orders AS o JOIN customers AS c ON c.id = o.customer_id WHERE o.id = %s",
        _order,
    ),
)
SHAPES = BROWSING + ORDERING

_GROUPS: Mapping[str, tuple[int, tuple[Shape, ...]]] = {
    "storefront": (4, BROWSING),
    "checkout": (3, ORDERING),
}
_PAUSE_S = 0.03  # between two calls of a thread: seven threads then make about 200 calls a second
_RECONNECT_S = 0.25


class Workload:
    """Threads that call the shop until stopped, and connect again when the server has gone away.

    `calls` counts completed statements; it is read while the threads run and may be a moment old.
    """

    def __init__(self, dsn: str, *, seed: int = 1) -> None:
        self._dsn = dsn
        self._stop = threading.Event()
        self._calls: list[int] = []
        self._threads: list[threading.Thread] = []
        for application, (count, shapes) in _GROUPS.items():
            for number in range(count):
                slot = len(self._calls)
                self._calls.append(0)
                arguments = (slot, application, shapes, random.Random(seed + slot))  # noqa: S311 - which page a shopper opens
                name = f"{application}-{number}"
                self._threads.append(
                    threading.Thread(target=self._shop, args=arguments, name=name, daemon=True)
                )

    @property
    def calls(self) -> int:
        return sum(self._calls)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, *, deadline_s: float = 10.0) -> None:
        """Returns when the threads have ended, or at the deadline: one that waits for a lock ends with its server."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=deadline_s / len(self._threads))

    def _shop(self, slot: int, application: str, shapes: tuple[Shape, ...], dice: random.Random) -> None:
        while not self._stop.is_set():
            try:
                with plain.connect(self._dsn, application_name=application) as connection:
                    self._call(connection, slot, shapes, dice)
            except plain.Error:  # the server went away; a real application tries again too
                self._stop.wait(_RECONNECT_S)

    def _call(
        self, connection: plain.Connection, slot: int, shapes: tuple[Shape, ...], dice: random.Random
    ) -> None:
        while not self._stop.wait(_PAUSE_S * dice.uniform(0.5, 1.5)):
            shape = dice.choice(shapes)
            connection.execute(shape.sql, shape.parameters(dice))
            self._calls[slot] += 1
