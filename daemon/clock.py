"""The clock, and what it sets off: APScheduler is the clock only; all work happens on lanes."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from pgvigil.model.moment import Moment

Now = Callable[[], Moment]

HEARTBEAT_S = 1.0  # a tick that does nothing but show that ticks come


def system_now() -> Moment:
    """Both clocks of this machine."""
    return Moment(datetime.now(UTC), time.monotonic())


class Ticker:
    """Calls things at fixed intervals, in the scheduler's own thread: a tick must only mark something due.

    APScheduler plans on wall time, so after a step of the wall clock the owner calls `replan`. Its defaults
    drop late runs (misfire_grace_time of 1 s); here a late tick always comes, once, and the lanes count what
    was missed.
    """

    def __init__(self, now: Now) -> None:
        self._now = now
        # Inline: a tick takes microseconds, and a pool of threads would only add a queue.
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._first_after_s: dict[str, float] = {}
        self._planning = threading.Lock()  # jobs come and go while the clock is stepped
        self._beat_mono_s: float | None = None

    @property
    def age_s(self) -> float:
        """How long ago the last tick of all came; 0 while it does not run."""
        beat_s = self._beat_mono_s
        return 0.0 if beat_s is None else self._now().mono_s - beat_s

    def every(
        self, name: str, interval_s: float, tick: Callable[[], None], *, first_after_s: float = 0.0
    ) -> None:
        """Call `tick` after `first_after_s` and then every `interval_s`; `name` is unique."""
        with self._planning:
            self._first_after_s[name] = first_after_s
            self._scheduler.add_job(
                tick,
                IntervalTrigger(seconds=interval_s, timezone=UTC),
                id=name,
                name=name,
                # Said outright: a start_date that is already past would be rounded up to the next interval.
                next_run_time=self._in(first_after_s),
            )

    def cancel(self, name: str) -> None:
        """No more ticks, but for one that is just being called."""
        with self._planning:
            if self._first_after_s.pop(name, None) is not None:
                self._scheduler.remove_job(name)

    def replan(self) -> None:
        """Plan every job anew from the wall clock as it is now, spread over time as at the start."""
        with self._planning:
            for name, first_after_s in self._first_after_s.items():
                self._scheduler.modify_job(name, next_run_time=self._in(first_after_s))

    def start(self) -> None:
        self._beat()
        self.every("clock", HEARTBEAT_S, self._beat)
        self._scheduler.start()

    def stop(self) -> None:
        """For good: nothing is planned anew, should the clock be stepped meanwhile."""
        self._beat_mono_s = None
        with self._planning:
            self._first_after_s.clear()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _beat(self) -> None:
        self._beat_mono_s = self._now().mono_s

    def _in(self, seconds: float) -> datetime:
        return self._now().utc + timedelta(seconds=seconds)
