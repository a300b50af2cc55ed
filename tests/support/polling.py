"""Waiting for a state: poll with a deadline, never sleep and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 3.0  # deadlines are written for a machine of its own; tests share one with each other


def poll(
    predicate: Callable[[], T], deadline_s: float = 10.0, *, message: str = "", interval_s: float = 0.02
) -> T:
    """The first truthy answer of `predicate`; fails the test when there is none within `deadline_s` on a quiet machine,
    and three times that anywhere.
    """
    give_up_at = time.monotonic() + PATIENCE * deadline_s
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > give_up_at:
            what = message or getattr(predicate, "__doc__", None) or "the awaited state"
            raise AssertionError(f"not within {PATIENCE * deadline_s:g} s: {what} (last answer: {answer!r})")
        time.sleep(interval_s)
