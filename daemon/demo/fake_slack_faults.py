"""Faults that the fake plays on demand."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Final

ALWAYS: Final = -1
ANY_METHOD: Final = "*"
WEBHOOK: Final = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one call. Made by the functions below.

    `accepted` tells whether Slack had done what was asked before it went wrong.
    """

    status: int = 200
    error: str = ""  # `ok: false` with this error
    headers: tuple[tuple[str, str], ...] = ()
    html: bool = False
    wait_s: float = 0.0
    drop: bool = False  # the connection is reset instead of answered
    accepted: bool = False


def rate_limited(retry_after: object = 1) -> Fault:
    """HTTP 429; `retry_after` goes into the header as it is, garbage included."""
    return Fault(status=429, error="ratelimited", headers=(("Retry-After", str(retry_after)),))


def http_error(status: int = 503, *, accepted: bool = False) -> Fault:
    """An error page, as a load balancer writes it. With status 200 it is a captive portal."""
    return Fault(status=status, html=True, accepted=accepted)


def api_error(error: str, *, accepted: bool = False) -> Fault:
    return Fault(error=error, accepted=accepted)


def hang(*, accepted: bool = False, wait_s: float = 60.0) -> Fault:
    """No answer for `wait_s`, then the connection is dropped."""
    return Fault(wait_s=wait_s, drop=True, accepted=accepted)


def drop(*, accepted: bool = False) -> Fault:
    """The connection is reset after the request was read."""
    return Fault(drop=True, accepted=accepted)


def slow(wait_s: float) -> Fault:
    """A right answer, late."""
    return Fault(wait_s=wait_s, accepted=True)


@dataclass
class FaultPlan:
    """Which faults the next calls meet, by method, first in first out."""

    _planned: list[tuple[str, Fault, int]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, method: str, fault: Fault, times: int) -> None:
        with self._lock:
            self._planned.append((method, fault, times))

    def clear(self, method: str | None = None) -> None:
        with self._lock:
            self._planned = [plan for plan in self._planned if method is not None and plan[0] != method]

    def take(self, method: str) -> Fault | None:
        """The fault that this call meets, and one fewer of it to come."""
        with self._lock:
            for index, (planned_for, fault, times) in enumerate(self._planned):
                if planned_for in (method, ANY_METHOD):
                    if times > 1:
                        self._planned[index] = (planned_for, fault, times - 1)
                    elif times != ALWAYS:
                        del self._planned[index]
                    return fault
        return None
