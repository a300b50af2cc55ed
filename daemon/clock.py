"""The clock, and what it sets off: APScheduler is the clock only; all work happens on lanes."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from pgvigil.model.moment import Moment

Now = Callable[[], Moment]


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
        self._intervals: dict[str, float] = {}

    def every(
        self, name: str, interval_s: float, tick: Callable[[], None], *, first_after_s: float = 0.0
    ) -> None:
        """Call `tick` after `first_after_s` and then every `interval_s`; `name` is unique."""
        self._intervals[name] = interval_s
        self._scheduler.add_job(tick, self._trigger(interval_s, first_after_s), id=name, name=name)

    def cancel(self, name: str) -> None:
        del self._intervals[name]
        self._scheduler.remove_job(name)

    def replan(self) -> None:
        """Plan every job anew from the wall clock as it is now."""
        for name, interval_s in self._intervals.items():
            self._scheduler.reschedule_job(name, trigger=self._trigger(interval_s, 0.05))

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _trigger(self, interval_s: float, first_after_s: float) -> IntervalTrigger:
        return IntervalTrigger(
            seconds=interval_s, start_date=self._now().utc + timedelta(seconds=first_after_s), timezone=UTC
        )
