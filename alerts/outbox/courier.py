"""Brings the rows of one destination to it, one call at a time, in one thread.

The order of writes is the whole of the guarantee: a creating act is persisted as `sending` before the call
and its result after it. Whatever happens between the two leaves a row that says "this may have arrived".
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from alerts.outbox.acts import acts, missed, shown
from alerts.outbox.aftermath import Aftermath, after_failure, look_failed, without_act
from alerts.outbox.checkup import Checkup
from alerts.outbox.gate import Gate
from alerts.outbox.herald import Hands, Herald
from alerts.outbox.hooks import Muted, Noted, ignored, never
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.record import BUG, OK, Record
from alerts.outbox.seen import in_flight
from alerts.outbox.stormwatch import StormWatch
from pgvigil.model.delivery import (
    Act,
    CannotLookError,
    Delivery,
    DeliveryError,
    DeliveryFailure,
    DeliveryStatus,
    Recalled,
)
from pgvigil.model.incident import Incident
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink
from pgvigil.store import Store, StoreError

T = TypeVar("T")

_CLOCK_STEP_S = 2.0
_MOST_HELD = 2_000  # rows that wait for the next telling of a storm


class Courier:
    """`muted` says whether a sink is to hear nothing new of an incident for now. `pause` waits that many seconds, or raises Interrupted. `settled` is when a digest may be told."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        store: Store,
        clock: Callable[[], Moment],
        limits: OutboxLimits,
        *,
        record: Record,
        pause: Callable[[float], None],
        settled: Callable[[], bool] = lambda: True,
        noted: Noted = ignored,
        muted: Muted = never,
    ) -> None:
        self._name = name
        self._muted = muted
        self.checkup = Checkup(sink, clock, limits, record=record, noted=noted)
        self._sink = sink
        self._incidents = store.incidents
        self._deliveries = store.deliveries
        self._clock = clock
        self._limits = limits
        self._record = record
        self._pause = pause
        self._gate = Gate(limits.between_calls_s)
        self._resumed = False
        self._refresh_at_s = float("-inf")
        self._clock_offset_s: float | None = None
        self._looks: Counter[int] = Counter()
        hands = Hands(clear=self._clear, save=self._save, works=self._works_again)
        self._herald = Herald(
            name,
            sink,
            store.digests,
            store.storms,
            clock,
            limits,
            record=record,
            gate=self._gate,
            hands=hands,
            settled=settled,
            muted=self._is_muted,
        )
        self._storms = StormWatch(
            name,
            sink,
            store,
            clock,
            limits,
            record=record,
            gate=self._gate,
            hands=hands,
            herald=self._herald,
            muted=self._is_muted,
        )

    @property
    def settling(self) -> bool:
        """Whether nothing is sent yet, because a digest waits for the first look around."""
        return self._herald.waiting

    @property
    def digesting(self) -> bool:
        """Whether a digest is to be told before anything is told one by one."""
        return self._herald.digesting

    def step(self) -> float | None:
        """Bring the most urgent row further. Returns the seconds until the next step, None until woken.

        Raises StoreError when the store cannot be used; nothing was sent then that is not accounted for.
        """
        moment = self._clock()
        self._resume()
        self._follow_clock(moment)
        wait_s = self._gate.wait_s(moment.mono_s)
        if wait_s > 0:
            return wait_s
        digest_s = self._herald.step(moment)
        if digest_s is not None:
            return digest_s
        storm_s = self._storms.step(moment)
        if storm_s == 0:
            return 0.0
        refresh_s = self._refresh(moment)
        row = self._next(moment, storms=storm_s is not None)
        if row is not None:
            self._bring(row, moment)
            return 0.0
        next_at = self._deliveries.next_at(self._name, moment.utc)
        next_s = None if next_at is None else max(0.0, (next_at - moment.utc).total_seconds())
        return min((each for each in (next_s, refresh_s, storm_s) if each is not None), default=None)

    def _next(self, moment: Moment, *, storms: bool) -> Delivery | None:
        """The most urgent row that is told by itself."""
        due = self._deliveries.due(self._name, moment.utc, limit=_MOST_HELD if storms else 1)
        return next((row for row in due if not (storms and self._storms.holds(row))), None)

    def _refresh(self, moment: Moment) -> float | None:
        """Where the destination forgets, what goes on is due again: at start, and from time to time.

        Returns the seconds until the next time; None where it does not forget.
        """
        if self._limits.refresh_s is None:
            return None
        if moment.mono_s >= self._refresh_at_s:
            self._deliveries.again(self._name, moment.utc)
            self._refresh_at_s = moment.mono_s + self._limits.refresh_s
        return self._refresh_at_s - moment.mono_s

    def _resume(self) -> None:
        """At start: what was being sent may have arrived; and nothing waits for what was wrong before."""
        if not self._resumed:
            self._deliveries.take_up(self._name)
            self._deliveries.interrupted(self._name)
            self._deliveries.release(self._name)
            self._herald.resume()
            self._resumed = True

    def _follow_clock(self, moment: Moment) -> None:
        """After a step of the wall clock the times at which rows wait mean nothing."""
        offset_s = moment.utc.timestamp() - moment.mono_s
        if self._clock_offset_s is not None and abs(offset_s - self._clock_offset_s) > _CLOCK_STEP_S:
            self._deliveries.release(self._name)
            self._herald.release()
        self._clock_offset_s = offset_s

    # --- one row ----------------------------------------------------------------------------------------

    def _bring(self, row: Delivery, moment: Moment) -> None:
        incident = self._incidents.get(row.incident_id)
        if incident is None:
            return
        act = in_flight(row)
        doubt = row if row.maybe_seen else None  # what a digest may have told
        if act is not None:
            looked = self._look(row, act, incident)
            if looked is None:
                return
            row, doubt = looked
        muted, sink = self._is_muted(incident), self._sink
        todo = acts(incident, row, can_edit=sink.can_edit, can_reply=sink.can_reply, muted=muted)
        if todo:
            self._tell(row, incident, todo, doubt, moment, muted=muted)
        else:
            self._settle_silently(row, incident, muted=muted)

    def _is_muted(self, incident: Incident) -> bool:
        return self._muted(incident, self._name, self._clock().utc)

    def _settle_silently(self, row: Delivery, incident: Incident, *, muted: bool) -> None:
        """Nothing is to be told. What was in doubt stays in doubt, for the next version."""
        if missed(incident, row, muted=muted):
            self._record.never_told(incident)
        settled = replace(
            row,
            status=DeliveryStatus.SETTLED,
            seen_version=incident.version,
            seen_reminder=row.seen_reminder if muted else row.want_reminder,
            attempts=0,
            not_before=None,
            last_error="",
        )
        self._deliveries.put_back(row, settled)

    def _tell(
        self,
        row: Delivery,
        incident: Incident,
        todo: tuple[Act, ...],
        doubt: Delivery | None,
        moment: Moment,
        *,
        muted: bool,
    ) -> None:
        told: Delivery | None = row
        for act in todo:
            told = None if told is None else self._perform(told, incident, act, doubt)
        if told is None:
            return
        seen, done = shown(incident, row, todo, muted=muted), told
        heard_at = self._clock().utc if any(act.creates for act in todo) else None
        self._save(
            lambda: self._deliveries.settle(
                done,
                version=incident.version,
                state=None if seen is None else seen.state,
                level=None if seen is None else seen.level,
                remote=done.remote,
                at=moment.utc,
                told_at=heard_at,
                reminder=0 if muted else row.want_reminder,
            )
        )
        self._record.delivered(row, incident, todo, self._clock().utc)
        self._works_again()

    def _perform(
        self, row: Delivery, incident: Incident, act: Act, doubt: Delivery | None
    ) -> Delivery | None:
        """The row after the call; None when it failed, or the row is not as it was read.

        Calls for one row are not paced: a reply that must be heard does not wait for its edit's second.
        """
        if act.creates:
            begun = self._deliveries.begin(row, act, incident, self._clock().utc)
            if begun is None:
                return None
            row = begun
        sent_at = doubt.act_at if doubt is not None and act.creates else None
        self._record.attempt(again=row.attempts > 0, marked=sent_at is not None)
        try:
            handle = self._sink.perform(act, incident, row, possible_duplicate_of=sent_at)
        except DeliveryError as error:
            self._failed(row, act, error, doubt)
            return None
        except Exception as error:  # noqa: BLE001 - the boundary of the sink
            self._record.bug(error)
            self._failed(row, act, _unknown(error), doubt, outcome=BUG)
            return None
        finally:
            self._gate.called(self._clock().mono_s)
        self._record.call(OK)
        return replace(row, remote=handle or row.remote)

    # --- what may have arrived --------------------------------------------------------------------------

    def _clear(self, row: Delivery) -> bool:
        """Look for what is in flight. False when nobody can tell whether it arrived."""
        act, incident = in_flight(row), self._incidents.get(row.incident_id)
        if act is None or incident is None:
            return False
        looked = self._look(row, act, incident)
        return looked is None or looked[1] is None

    def _look(self, row: Delivery, act: Act, incident: Incident) -> tuple[Delivery, Delivery | None] | None:
        """The row to go on with and what of it stays in doubt; None when this row is done with for now."""
        try:
            found = self._find(act, incident, row)
        except CannotLookError:
            return row, row
        except DeliveryError as error:
            if error.kind is DeliveryFailure.REJECTED:
                return row, row
            self._look_failed(row, error)
            return None
        except Exception as error:  # noqa: BLE001 - the boundary of the sink
            self._record.bug(error)
            return row, row
        finally:
            self._gate.called(self._clock().mono_s)
        if found is None:
            return self._not_found(row)
        self._adopt(row, act, incident, found)
        return None

    def _find(self, act: Act, incident: Incident, row: Delivery) -> Recalled | None:
        if act.lost_above is not None:
            return self._sink.recall(act, incident, row)
        handle = self._sink.find(act, incident, row)
        return None if handle is None else Recalled(handle, *row.maybe_seen[-1])

    def _not_found(self, row: Delivery) -> tuple[Delivery, Delivery | None] | None:
        act = in_flight(row)
        everything = act is not None and act.lost_above is not None
        if len(row.maybe_seen) > 1 and not everything:  # only the last one was looked for
            return row, row
        self._looks[row.incident_id] += 1
        if self._looks[row.incident_id] < self._limits.looks:
            again_at = self._clock().utc + timedelta(seconds=self._limits.between_looks_s)
            self._deliveries.put_back(row, replace(row, status=DeliveryStatus.AMBIGUOUS, not_before=again_at))
            return None
        del self._looks[row.incident_id]
        cleared = self._deliveries.put_back(row, without_act(row))
        return None if cleared is None else (cleared, None)

    def _adopt(self, row: Delivery, act: Act, incident: Incident, found: Recalled) -> None:
        self._looks.pop(row.incident_id, None)
        self._deliveries.settle(
            row,
            version=max(act.version, 0),
            state=found.state,
            level=found.level,
            remote=found.remote,
            at=row.act_at or row.due_since,
            told_at=row.act_at,
            reminder=act.nth,
        )
        self._record.adopted(incident, act)
        self._works_again()

    # --- how it ended -----------------------------------------------------------------------------------

    def _works_again(self) -> None:
        """Rows that waited because the destination was down need not wait any longer."""
        if self._record.was_down:
            self._deliveries.release(self._name)
        self._record.works()

    def _failed(
        self,
        row: Delivery,
        act: Act,
        error: DeliveryError,
        doubt: Delivery | None,
        outcome: str | None = None,
    ) -> None:
        self._record.call(outcome or error.kind.value)
        self._record.failed(row, act.key, error)
        now = self._clock().utc
        after = after_failure(
            row, doubt, act, error, now, self._limits, misconfigured=self._record.misconfigured
        )
        self._write(row, after)

    def _look_failed(self, row: Delivery, error: DeliveryError) -> None:
        self._record.failed(row, f"look for {row.act_key}", error)
        now = self._clock().utc
        self._write(row, look_failed(row, error, now, self._limits, misconfigured=self._record.misconfigured))

    def _write(self, row: Delivery, after: Aftermath) -> None:
        if after.hold is not None:
            self._gate.hold(self._clock().mono_s, after.hold.total_seconds())
        self._save(lambda: self._deliveries.put_back(row, after.row))

    def _save(self, write: Callable[[], T]) -> T:
        """Write down what was done, however long it takes: sending on without it could send twice."""
        while True:
            try:
                return write()
            except StoreError as error:
                self._record.store_failed(error)
                self._pause(self._limits.store_retry_s)


def _unknown(error: Exception) -> DeliveryError:
    """A sink that throws anything else is broken, and nobody knows how far it came."""
    return DeliveryError(DeliveryFailure.AMBIGUOUS, f"the sink threw {type(error).__name__}")
