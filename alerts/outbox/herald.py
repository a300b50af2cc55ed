"""Says many things in one message, before anything else is said: what happened during a pause, or what a storm began with.

The digest is written down as `sending` before the call, with what it tells of which incident; its end, and what
that means for each of these incidents, are written in one transaction. It is composed anew for every attempt, so
that after an outage of the destination it is current.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from alerts.outbox.digest import Composed, awaits_look, by_incident, compose, heard, perhaps_heard
from alerts.outbox.gate import Gate
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.record import BUG, OK, Record
from alerts.outbox.storm import heard_in
from pgvigil.model.delivery import CannotLookError, Delivery, DeliveryError, DeliveryFailure
from pgvigil.model.digest import Digest, DigestCause, DigestDelivery, DigestStatus, Sight, Storm
from pgvigil.model.incident import Incident
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink
from pgvigil.store.digests import Digests
from pgvigil.store.storms import Storms

T = TypeVar("T")

_WHOLE_SINK = (DeliveryFailure.RATE_LIMITED, DeliveryFailure.MISCONFIGURED)  # whatever is said meets it
_OWN_FAULT = (DeliveryFailure.REJECTED, DeliveryFailure.GONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What the courier lends: `clear` looks for the first message of a row, True when that settled the doubt or
    will; `save` writes however long it takes; `works` is called after a success.
    """

    clear: Callable[[Delivery], bool]
    save: Callable[[Callable[[], None]], None]
    works: Callable[[], None]


class Herald:
    """Of one destination; called by its courier, in its thread. `settled` says that all was looked at once; what is
    `muted` there is in no digest.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        digests: Digests,
        storms: Storms,
        clock: Callable[[], Moment],
        limits: OutboxLimits,
        *,
        record: Record,
        gate: Gate,
        hands: Hands,
        settled: Callable[[], bool],
        muted: Callable[[Incident], bool],
    ) -> None:
        self._name = name
        self._sink = sink
        self._digests = digests
        self._storms = storms
        self._clock = clock
        self._limits = limits
        self._record = record
        self._gate = gate
        self._hands = hands
        self._settled = settled
        self._muted = muted
        self._settle_until_s = clock().mono_s + limits.settle_s
        self.digesting = False  # there is a digest to tell
        self.waiting = False  # nothing is to be sent before all was looked at
        self._over = False
        self._done = False
        self._broken = False  # the sink threw
        self._gave_up_at_s = float("-inf")
        self._looks = 0
        self._unclear: set[int] = set()  # incidents whose first message nobody can look for

    def resume(self) -> None:
        """At start: what was being sent may have arrived."""
        self._digests.interrupted(self._name)

    def may_begin(self, mono_s: float) -> bool:
        """Whether a digest more may be begun: one that was given up is not begun again at once."""
        return not self._broken and mono_s >= self._gave_up_at_s + self._limits.digest_for_s

    def refrain(self) -> None:
        """Begin none for a while."""
        self._gave_up_at_s = self._clock().mono_s

    def begin(self, digest: DigestDelivery) -> None:
        """It is the next thing to be told."""
        self._digests.add(digest)
        self._done = False

    def step(self, moment: Moment) -> float | None:
        """Bring the digest further. Seconds until it is to be asked again; None once there is none."""
        if self._done:
            return None
        row = self._digests.get(self._name)
        self.digesting = row is not None
        if row is None:
            self._done = True
            return None
        if self._settles(row, moment):
            return self._limits.settle_poll_s
        if row.not_before is not None and row.not_before > moment.utc:
            return (row.not_before - moment.utc).total_seconds()
        return self._bring(row, moment)

    def _settles(self, row: DigestDelivery, moment: Moment) -> bool:
        """A restart in the middle goes on with the same time limit, so that a crash loop is not silent."""
        timed_out = moment.mono_s >= self._settle_until_s or moment.utc >= row.settle_by
        self._over = self._over or timed_out or self._settled()
        self.waiting = not self._over
        return self.waiting

    def release(self) -> None:
        """The wall clock has stepped: the time at which it was to be tried again means nothing."""
        row = None if self._done else self._digests.get(self._name)
        if row is not None:
            self._digests.put(replace(row, not_before=None))

    def _bring(self, row: DigestDelivery, moment: Moment) -> float:
        doubt = row if row.status is DigestStatus.AMBIGUOUS else None
        if doubt is not None:
            looked = self._look(row)
            if looked is None:
                return 0.0
            row, doubt = looked
        if self._sink.digest_lines == 0:
            self._end(row, None)
            return 0.0
        if self._broken:
            self._give_up(row, doubt, "the sink cannot tell a digest")
            return 0.0
        standing = [pair for pair in self._digests.standing(self._name) if not self._muted(pair[0])]
        waits_s = self._clear_doubts(row, [delivery for _, delivery in standing], moment)
        if waits_s is not None:
            return waits_s
        composed = compose(
            row,
            standing,
            can_edit=self._sink.can_edit,
            can_reply=self._sink.can_reply,
            room=self._sink.digest_lines,
        )
        if composed is None:
            self._end(row, doubt)
        else:
            self._tell(row, composed, doubt)
        return 0.0

    def _clear_doubts(self, digest: DigestDelivery, rows: list[Delivery], moment: Moment) -> float | None:
        """A first message that may be in the channel is looked for before it would be told as new."""
        for row in rows:
            waits = awaits_look(row, can_reply=self._sink.can_reply)
            if not waits or row.incident_id in self._unclear or self._overdue(digest, moment):
                continue
            if row.not_before is not None and row.not_before > moment.utc:
                return (row.not_before - moment.utc).total_seconds()
            if not self._hands.clear(row):
                self._unclear.add(row.incident_id)
            return 0.0
        return None

    # --- one call ---------------------------------------------------------------------------------------

    def _overdue(self, row: DigestDelivery, moment: Moment) -> bool:
        return moment.utc >= row.settle_by + timedelta(seconds=self._limits.digest_for_s)

    def _tell(self, row: DigestDelivery, composed: Composed, doubt: DigestDelivery | None) -> None:
        digest, now = composed.digest, self._clock().utc
        earlier = () if doubt is None else doubt.told
        begun = replace(
            row,
            status=DigestStatus.SENDING,
            act_at=now,
            told=tuple(dict.fromkeys((*earlier, *composed.sights))),
        )
        self._digests.put(begun)
        self._record.attempt(again=row.attempts > 0, marked=doubt is not None)
        try:
            handle = self._sink.tell(digest, possible_duplicate_of=None if doubt is None else doubt.act_at)
        except DeliveryError as error:
            self._failed(begun, error, doubt)
            return
        except Exception as error:  # noqa: BLE001 - the boundary of the sink
            self._record.bug(error)
            self._broken = True
            unknown = DeliveryError(DeliveryFailure.AMBIGUOUS, f"the sink threw {type(error).__name__}")
            self._failed(begun, unknown, doubt, outcome=BUG)
            return
        finally:
            self._gate.called(self._clock().mono_s)
        self._record.call(OK)
        self._told(replace(begun, told=composed.sights), handle, earlier, goes_on=composed.left)
        self._record.digest_delivered(digest, self._clock().utc)
        self._hands.works()

    def _told(
        self,
        row: DigestDelivery,
        handle: Mapping[str, str],
        earlier: tuple[Sight, ...] = (),
        *,
        goes_on: bool,
    ) -> None:
        """Each incident has been heard of as it was told last; of what only `earlier` attempts told, the doubt
        remains. What comes next is another message.
        """
        latest = {sight.incident_id: sight for sight in row.told}
        storm = self._storm(row, handle)
        changes = {each: perhaps_heard(sights) for each, sights in by_incident(earlier).items()} | {
            each: heard(sight, handle, can_reply=self._sink.can_reply, at=row.act_at)
            if storm is None
            else heard_in(sight, storm, row.act_at)
            for each, sight in latest.items()
        }
        after = _afresh(replace(row, part=row.part + 1)) if goes_on else None
        self._hands.save(lambda: self._digests.finish(row, changes, goes_on=after, storm=storm))

    def _storm(self, row: DigestDelivery, handle: Mapping[str, str]) -> Storm | None:
        """That of which `row` is the first message, or another where none can be edited."""
        if row.cause is not DigestCause.STORM:
            return None
        at = row.act_at or row.until
        known = self._storms.get(self._name)
        if known is None or known.digest_id != row.id:
            remote = handle if self._sink.can_edit and self._sink.can_reply else {}
            known = Storm(
                sink=self._name, digest_id=row.id, part=row.part, since=row.since, told_at=at, remote=remote
            )
        return replace(known, part=row.part).joined(row.told, at)

    def _failed(
        self,
        row: DigestDelivery,
        error: DeliveryError,
        doubt: DigestDelivery | None,
        outcome: str | None = None,
    ) -> None:
        self._record.call(outcome or error.kind.value)
        self._record.digest_failed(row.id, row.attempts, error)
        failed = replace(row, attempts=row.attempts + 1, last_error=str(error)[:500])
        if error.kind is DeliveryFailure.AMBIGUOUS:
            failed = replace(failed, status=DigestStatus.AMBIGUOUS)
        else:
            failed = _did_not_arrive(failed, doubt)
        self._later(failed, error)

    def _later(self, row: DigestDelivery, error: DeliveryError) -> None:
        """Tried again after a while, or given up for single messages where the digest itself may be the cause."""
        now = self._clock()
        if error.kind in _OWN_FAULT or (self._overdue(row, now) and error.kind not in _WHOLE_SINK):
            self._give_up(row, row if row.status is DigestStatus.AMBIGUOUS else None, str(error))
            return
        if error.kind is DeliveryFailure.RATE_LIMITED:
            hold = self._limits.rate_limited(error.retry_after_s)
        elif error.kind is DeliveryFailure.MISCONFIGURED:
            hold = self._limits.misconfigured(self._record.misconfigured)
        else:
            hold = timedelta(0)
            row = replace(row, not_before=now.utc + self._limits.back_off(row.attempts))
        if hold:
            self._gate.hold(now.mono_s, hold.total_seconds())
        self._save(row)

    # --- what may have arrived --------------------------------------------------------------------------

    def _look(self, row: DigestDelivery) -> tuple[DigestDelivery, DigestDelivery | None] | None:
        """The row to go on with and what of it stays in doubt; None when it is done with for now."""
        told_at = row.act_at or row.until
        digest = Digest(id=row.id, part=row.part, title="", since=row.since, until=row.until)
        try:
            handle = self._sink.find_digest(digest, told_at)
        except CannotLookError:
            return row, row
        except DeliveryError as error:
            if error.kind is DeliveryFailure.REJECTED:
                return row, row
            self._record.digest_failed(row.id, row.attempts, error)
            self._later(replace(row, attempts=row.attempts + 1, last_error=str(error)[:500]), error)
            return None
        except Exception as error:  # noqa: BLE001 - the boundary of the sink
            self._record.bug(error)
            return row, row
        finally:
            self._gate.called(self._clock().mono_s)
        return self._looked(row, digest, handle)

    def _looked(
        self, row: DigestDelivery, digest: Digest, handle: Mapping[str, str] | None
    ) -> tuple[DigestDelivery, DigestDelivery | None] | None:
        if handle is not None:
            since_then = row.act_at is not None and row.until > row.act_at  # another pause came after it
            self._told(row, handle, goes_on=since_then)
            self._record.digest_adopted(digest)
            self._hands.works()
            return None
        self._looks += 1
        if self._looks < self._limits.looks:
            again_at = self._clock().utc + timedelta(seconds=self._limits.between_looks_s)
            self._save(replace(row, not_before=again_at))
            return None
        self._looks = 0
        cleared = _afresh(row, attempts=row.attempts)
        self._digests.put(cleared)
        return cleared, None

    # --- the end ----------------------------------------------------------------------------------------

    def _end(self, row: DigestDelivery, doubt: DigestDelivery | None) -> None:
        """There is nothing to say, or one thing, which is said as ever; what may have been told is remembered."""
        perhaps = by_incident(() if doubt is None else doubt.told)
        changes = {each: perhaps_heard(sights) for each, sights in perhaps.items()}
        self._hands.save(lambda: self._digests.finish(row, changes))

    def _give_up(self, row: DigestDelivery, doubt: DigestDelivery | None, why: str) -> None:
        self._record.digest_given_up(row.id, why)
        self.refrain()
        self._end(row, doubt)

    def _save(self, row: DigestDelivery) -> None:
        def write() -> None:
            self._digests.put(row)

        self._hands.save(write)


def _afresh(row: DigestDelivery, attempts: int = 0) -> DigestDelivery:
    """As it is when nothing of it was sent."""
    return replace(
        row,
        status=DigestStatus.WAITING,
        act_at=None,
        told=(),
        attempts=attempts,
        not_before=None,
        last_error="",
    )


def _did_not_arrive(row: DigestDelivery, doubt: DigestDelivery | None) -> DigestDelivery:
    if doubt is None:
        return replace(row, status=DigestStatus.WAITING, act_at=None, told=())
    return replace(row, status=DigestStatus.AMBIGUOUS, act_at=doubt.act_at, told=doubt.told)
