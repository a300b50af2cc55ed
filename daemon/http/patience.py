"""Slows those who guess tokens: a wrong one is answered late, and only a few wait at a time."""

import asyncio
from collections import Counter

HELD_S = 0.5
MOST_OF_ONE = 4  # wrong answers of one address that are held back: with more, nothing of it is looked at
MOST = 32


class Patience:
    """Touched by the event loop only. Whoever shows a right token never waits."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def exhausted(self, address: str) -> bool:
        """Whether that address must come again later, whatever it shows."""
        return self._held[address] >= MOST_OF_ONE or self._held.total() >= MOST

    async def wrong(self, address: str) -> None:
        """Returns when a wrong token may be answered."""
        self._held[address] += 1
        try:
            await asyncio.sleep(HELD_S)
        finally:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]


def too_many() -> tuple[dict[str, str], int, dict[str, str]]:
    """What is answered then: body, status and headers."""
    return (
        {"error": "too many wrong tokens from this address: try again in a moment"},
        429,
        {"Retry-After": "1"},
    )
