"""What a change of configuration still owes: written to the store as soon as that can be written."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pgvigil.store import StoreError


class Owed:
    """Each debt is tried by `settle` until it is paid. One that is lost with the process is found at the next start."""

    def __init__(self) -> None:
        self._debts: dict[str, Callable[[], bool]] = {}
        self._paying = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is paid meanwhile; waits for what just is. Debts come and go only here."""
        with self._paying:
            yield

    def add(self, key: str, pay: Callable[[], bool]) -> None:
        """`pay` returns False, or raises StoreError, when it must be tried again. Replaces what `key` owed before."""
        self._debts[key] = pay

    def cancel(self, key: str) -> None:
        self._debts.pop(key, None)

    def __bool__(self) -> bool:
        return bool(self._debts)

    def settle(self) -> None:
        """Pay what can be paid now. When the store fails one debt the others need not ask it in vain."""
        with contextlib.suppress(StoreError):  # counted by the store, and logged by who asked it
            for key in tuple(self._debts):
                with self._paying:
                    pay = self._debts.get(key)
                    if pay is not None and pay():
                        del self._debts[key]
