"""The thread of one destination: sleeps until there is something to do."""

import threading
import time
from collections.abc import Callable

from alerts.outbox.courier import Courier
from alerts.outbox.hooks import Interrupted, Muted, Noted, ignored, never
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.record import OnEvent, OutboxStats, Record, log_event
from alerts.sink_failing import Trouble
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink
from pgvigil.store import Store, StoreError

_FOLLOW_S = 0.1  # how soon a worker sees that it is to stop while it waits for the one before
_CALL_S = 15.0  # that a call under way may take before it is left behind at stop


class OutboxWorker:
    """Makes one sink reflect every incident that it is to reflect, for as long as it runs.

    `wake` after every commit; between, it sleeps until the next row is to be tried again. The settings of
    `limits` that pace the calls fit Slack; a local sink may have `between_calls_s` 0. `settled` says that
    everything was looked at once since the start: after a pause nothing is sent before. `noted` hears what is
    wrong with the sink's set-up, each time that it was looked at. `muted` see `Courier`.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        store: Store,
        clock: Callable[[], Moment],
        limits: OutboxLimits | None = None,
        *,
        settled: Callable[[], bool] = lambda: True,
        noted: Noted = ignored,
        muted: Muted = never,
        on_event: OnEvent = log_event,
    ) -> None:
        self.name = name
        self.sink = sink
        self._clock = clock
        self._limits = limits or OutboxLimits()
        self._record = Record(name, on_event)
        self._courier = Courier(
            name,
            sink,
            store,
            clock,
            self._limits,
            record=self._record,
            pause=self._pause,
            settled=settled,
            noted=noted,
            muted=muted,
        )
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._stop_at_s = float("inf")
        self._idle = True
        self._beat_s = clock().mono_s
        self.ended = threading.Event()  # no call is under way, and the sink is closed
        self._retired = False
        self._after: threading.Event | None = None
        self._thread = threading.Thread(target=self._run, name=f"outbox-{name}", daemon=True)

    def start(self, after: threading.Event | None = None) -> None:
        """Begin; where the sink had another worker, not before that has `ended`: its call may still arrive."""
        self._idle = False
        self._after = after
        try:
            self._thread.start()
        except RuntimeError:  # a limit of the account or the container: nothing of it is left
            self._end()
            raise

    def retire(self) -> None:
        """Finish the call under way and begin no other. Does not wait: see `ended`."""
        self._retired = True
        self._stop_at_s = self._clock().mono_s
        self._stop.set()
        self._wake.set()
        if self._thread.ident is None:
            self._end()

    def wake(self) -> None:
        """There may be something new to tell. Costs nothing; any thread."""
        self._wake.set()

    def stop(self, flush_s: float = 3.0) -> bool:
        """Send what is due for at most `flush_s`, then end. False when a call did not end in time: its row
        is reconciled at the next start.
        """
        self.finish(flush_s)
        return self.join(flush_s + _CALL_S)

    def finish(self, flush_s: float) -> None:
        """Begin to stop: send what is due for at most `flush_s`, then end. Returns at once."""
        self._stop_at_s = self._clock().mono_s + flush_s
        self._stop.set()
        self._wake.set()

    def join(self, within_s: float) -> bool:
        """Whether it has ended within that time. A call that has not is reconciled at the next start."""
        if self._thread.ident is None:
            self._end()
        else:
            self._thread.join(within_s)
        return not self._thread.is_alive()

    @property
    def beat(self) -> float:
        """The monotonic time at which it last got further; now, while it has nothing to do."""
        if self._idle and (self._thread.is_alive() or self._thread.ident is None or self._stop.is_set()):
            return self._clock().mono_s
        return self._beat_s

    @property
    def age_s(self) -> float:
        """How long ago it last got further, for the health check."""
        return self._clock().mono_s - self.beat

    @property
    def digesting(self) -> bool:
        """Whether a digest is to be told before anything is told one by one."""
        return self._courier.digesting

    @property
    def trouble(self) -> Trouble | None:
        """Why the destination takes nothing, as the last call to it has shown; None when that succeeded."""
        return self._record.trouble

    @property
    def proven(self) -> bool:
        """Whether a call has succeeded since the start."""
        return self._record.proven

    def stats(self) -> OutboxStats:
        return self._record.stats()

    # --- the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._follow()
            if not self._over:
                self._courier.checkup.look()
            while not self._over:
                self._wake.clear()
                self._sleep(self._step())
        except Interrupted:
            self._idle = True
        finally:
            self._end()

    def _follow(self) -> None:
        """Wait for the worker before, also when retired: `ended` tells the next one that no call of any is left.

        Raises Interrupted when the time to stop is over meanwhile.
        """
        while self._after is not None and not self._after.wait(_FOLLOW_S):
            if self._over and not self._retired:
                raise Interrupted

    @property
    def _over(self) -> bool:
        return self._stop.is_set() and self._left_s() <= 0

    def _end(self) -> None:
        if not self.ended.is_set():
            self.sink.close()
            self.ended.set()

    def _step(self) -> float | None:
        self._beat_s = self._clock().mono_s
        try:
            wait_s = self._courier.step()
        except StoreError as error:
            self._record.store_failed(error)
            return self._limits.store_retry_s
        if wait_s != 0 and not self._stop.is_set() and self._courier.checkup.in_s == 0:
            self._courier.checkup.look()
        return wait_s

    def _sleep(self, wait_s: float | None) -> None:
        """Until woken or `wait_s` is over; raises Interrupted when stopping and nothing is left for the time."""
        ends = wait_s is None or wait_s >= self._left_s() or self._courier.settling
        if self._stop.is_set() and ends:
            raise Interrupted
        if wait_s == 0:
            return
        self._idle = True
        check_s = self._courier.checkup.in_s
        self._wake.wait(check_s if wait_s is None else min(wait_s, check_s))
        self._idle = False

    def _pause(self, wait_s: float) -> None:
        """In the middle of a row: only the end of the time to stop cuts it short."""
        self._beat_s = self._clock().mono_s
        if self._stop.wait(wait_s):
            rest_s = self._beat_s + wait_s - self._clock().mono_s
            if rest_s >= self._left_s():
                raise Interrupted
            time.sleep(max(rest_s, 0.0))

    def _left_s(self) -> float:
        return self._stop_at_s - self._clock().mono_s
