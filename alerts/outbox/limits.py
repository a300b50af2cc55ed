"""How often and how soon a destination is called."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import SystemRandom


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """Durations in seconds. `random` returns 0 to 1: waits are spread, so that restarts do not march in step."""

    between_calls_s: float = 1.0  # from one row to the next: Slack's limit on posts to one channel
    transient_first_s: float = 1.0
    transient_most_s: float = 300.0
    misconfigured_first_s: float = 60.0
    misconfigured_most_s: float = 600.0
    rejected_s: float = 3600.0  # a defect of ours: another version of the incident is the better hope
    rate_limited_s: float = 30.0  # where the destination does not say how long
    looks: int = 2  # before what is not found counts as not arrived
    between_looks_s: float = 2.0
    store_retry_s: float = 1.0
    check_s: float = 3600.0  # between two looks at a set-up in which nothing was wrong
    check_again_s: float = 60.0  # where something was, or the destination could not be asked
    settle_s: float = 60.0  # that a digest waits at most for the first look around
    settle_poll_s: float = 0.5
    digest_for_s: float = 900.0  # that a digest may fail before all is said one by one
    storm_at: int = 10  # incidents that begin within `storm_within_s` and are told in one message; 0 never
    storm_within_s: float = 60.0
    storm_quiet_s: float = 300.0  # with fewer than two beginning in it the storm is over
    storm_most_s: float = 3600.0  # then another message begins: nobody looks for news in one of this morning
    storm_edit_s: float = 15.0  # between two edits of its message
    storm_gather_s: float = 60.0  # between two messages, where nothing can be edited
    refresh_s: float | None = None  # where the destination forgets what it is not told again
    random: Callable[[], float] = SystemRandom().random

    def back_off(self, attempts: int) -> timedelta:
        """The wait after the `attempts`-th failure in a row: doubling, up to a ceiling, 20 % either way."""
        return self._spread(self.transient_first_s, self.transient_most_s, attempts)

    def misconfigured(self, attempts: int) -> timedelta:
        """The same for a destination that people must mend."""
        return self._spread(self.misconfigured_first_s, self.misconfigured_most_s, attempts)

    def rate_limited(self, asked_s: float | None) -> timedelta:
        """Never sooner than asked."""
        return timedelta(seconds=(self.rate_limited_s if asked_s is None else asked_s) + self.random())

    def _spread(self, first_s: float, most_s: float, attempts: int) -> timedelta:
        doubled_s = first_s * 2.0 ** min(max(attempts, 1) - 1, 30)
        return timedelta(seconds=min(doubled_s, most_s) * (0.8 + 0.4 * self.random()))
