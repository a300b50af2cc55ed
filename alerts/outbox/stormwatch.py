"""Begins a storm's digest, keeps its message up to date, and ends it; for one destination, in its courier's thread.

It is a row from the moment its first message is told, so that a restart goes on with it. An edit may be repeated
freely: it is written down after it was made. What the message tells of and what it means for each row is one
transaction, and so is its end with what is due then.
"""

from collections.abc import Callable
from datetime import timedelta

from alerts.outbox.digest import Composed, Pair, compose
from alerts.outbox.gate import Gate
from alerts.outbox.herald import Hands, Herald
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.record import BUG, OK, Record
from alerts.outbox.storm import End, changed, edits, end_of, floods, held, joins, retold, silent, urgent
from pgvigil.model.delivery import Delivery, DeliveryError, DeliveryFailure
from pgvigil.model.digest import DigestCause, DigestDelivery, Sight, Storm
from pgvigil.model.incident import Incident
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink
from pgvigil.store import Store
from pgvigil.store.storms import Changes


class StormWatch:
    """`muted` incidents are in no digest. A store that fails raises StoreError, before anything is called."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        store: Store,
        clock: Callable[[], Moment],
        limits: OutboxLimits,
        *,
        record: Record,
        gate: Gate,
        hands: Hands,
        herald: Herald,
        muted: Callable[[Incident], bool],
    ) -> None:
        self._name = name
        self._sink = sink
        self._digests = store.digests
        self._storms = store.storms
        self._clock = clock
        self._limits = limits
        self._record = record
        self._gate = gate
        self._hands = hands
        self._herald = herald
        self._muted = muted
        self._present: Storm | None = None
        self._edits = sink.can_edit and sink.can_reply
        self._every_s = min(
            limits.storm_edit_s if self._edits else limits.storm_gather_s, limits.storm_quiet_s
        )
        self._again_at_s = float("-inf")  # at a start it is looked at at once
        self._attempts = 0  # that failed in a row
        self._flooded = False  # critical ones are gathered as well
        self._silent: frozenset[int] = frozenset()  # nothing is to be said of them now
        self._part_at_s = float("-inf")
        self._digests_told = sink.digest_lines > 0 and sink.can_edit == sink.can_reply

    def step(self, moment: Moment) -> float | None:
        """Begin a storm, tell what is new of it, or end it: 0.0 then. Otherwise seconds until it is to be asked again;
        None where there is none.
        """
        storm = self._present = self._storms.get(self._name)
        if storm is None:
            return self._begin(moment)
        again_s = self._again_at_s - moment.mono_s
        if again_s > 0:
            return again_s
        self._again_at_s = moment.mono_s + self._every_s
        self._go_on(storm, moment)
        return 0.0

    def holds(self, row: Delivery) -> bool:
        """Whether the row is told by the storm, and not by itself, as of the last step."""
        if self._present is None or row.incident_id in self._silent:
            return False
        return held(row, self._present, flooded=self._flooded)

    # --- its beginning ----------------------------------------------------------------------------------

    def _begin(self, moment: Moment) -> float | None:
        limits = self._limits
        if not limits.storm_at or not self._digests_told or not self._herald.may_begin(moment.mono_s):
            return None
        since = moment.utc - timedelta(seconds=limits.storm_within_s)
        if self._storms.begun(self._name, since) < limits.storm_at:
            return None
        pairs = self._unmuted(self._digests.standing(self._name))
        began = [one.fired_at for one, _ in pairs if one.fired_at is not None and one.fired_at >= since]
        first = DigestDelivery(
            id=0,
            sink=self._name,
            since=min(began, default=moment.utc),
            until=moment.utc,
            settle_by=moment.utc,
            cause=DigestCause.STORM,
        )
        return self._tell(first, pairs)

    def _tell(self, digest: DigestDelivery, pairs: list[Pair]) -> float | None:
        """By the herald, in the next step; None when there is nothing to say."""
        said = compose(
            digest,
            pairs,
            can_edit=self._sink.can_edit,
            can_reply=self._sink.can_reply,
            room=self._sink.digest_lines,
        )
        if said is None:
            return None
        self._herald.begin(digest)
        return 0.0

    def _unmuted(self, pairs: list[Pair]) -> list[Pair]:
        return [pair for pair in pairs if not self._muted(pair[0])]

    # --- how it goes on ---------------------------------------------------------------------------------

    def _go_on(self, storm: Storm, moment: Moment) -> None:
        told = {sight.incident_id for sight in storm.roster}
        found = self._storms.members(storm)
        muted = {one.id for one, _ in found if one.id not in told and self._muted(one)}
        members = [pair for pair in found if pair[0].id not in muted]
        end = end_of(storm, members, moment.utc, self._limits)
        self._silent = frozenset(muted.union(one.id for one, row in members if silent(one, row)))
        waits = any(urgent(row) for _, row in members)
        self._flooded = end is None and (
            floods(members, moment.utc, self._limits) or (self._flooded and waits)
        )
        if self._flooded and waits and moment.mono_s >= self._part_at_s + self._limits.storm_gather_s:
            self._tell_more(storm, members, moment)
        elif self._edits and (end is not None or changed(storm, members)):
            composed = retold(storm, members, moment.utc, self._sink.digest_lines, end)
            self._retell(storm, composed, members, end, moment)
        elif end is not None:
            self._over(storm, {}, (), end)
        elif not self._edits and any(joins(incident, row, storm) for incident, row in members):
            self._tell_more(storm, members, moment)

    def _tell_more(self, storm: Storm, members: list[Pair], moment: Moment) -> None:
        """In another message what is new: an edit calls nobody, and not everywhere there is one."""
        self._part_at_s = moment.mono_s
        part = DigestDelivery(
            id=storm.digest_id,
            sink=self._name,
            since=storm.told_at,
            until=moment.utc,
            settle_by=moment.utc,
            cause=DigestCause.STORM,
            part=storm.part + 1,
        )
        self._tell(part, members)

    def _retell(
        self, storm: Storm, composed: Composed, members: list[Pair], end: End | None, moment: Moment
    ) -> None:
        self._record.attempt(again=self._attempts > 0, marked=False)
        try:
            self._sink.retell(composed.digest, storm.remote)
        except DeliveryError as error:
            self._failed(storm, error, end, moment)
            return
        except Exception as error:  # noqa: BLE001 - the boundary of the sink
            self._record.bug(error)
            self._failed(
                storm, DeliveryError(DeliveryFailure.REJECTED, type(error).__name__), end, moment, BUG
            )
            return
        finally:
            self._gate.called(self._clock().mono_s)
        self._attempts = 0
        self._record.call(OK)
        self._hands.works()
        changes = edits(composed.sights, members, storm, moment.utc)
        if end is not None:
            self._over(storm, changes, composed.sights, end)
            return
        after = storm.joined(composed.sights, moment.utc)
        self._hands.save(lambda: self._storms.put(after, changes))

    def _failed(
        self, storm: Storm, error: DeliveryError, end: End | None, moment: Moment, outcome: str | None = None
    ) -> None:
        self._record.call(outcome or error.kind.value)
        self._record.digest_failed(storm.digest_id, self._attempts, error)
        self._attempts += 1
        late = moment.utc - storm.told_at >= timedelta(seconds=self._limits.digest_for_s)
        if error.kind is DeliveryFailure.GONE:
            self._over(storm, {}, (), End.LOST, release=False)
        elif error.kind is DeliveryFailure.REJECTED or (late and end is not None):
            self._herald.refrain()
            self._over(storm, {}, (), End.LOST)
        else:
            self._again_at_s = moment.mono_s + self._wait_s(error, moment)

    def _wait_s(self, error: DeliveryError, moment: Moment) -> float:
        """Until it is tried again; where the destination itself takes nothing all else waits as well."""
        if error.kind is DeliveryFailure.RATE_LIMITED:
            wait_s = self._limits.rate_limited(error.retry_after_s).total_seconds()
        elif error.kind is DeliveryFailure.MISCONFIGURED:
            wait_s = self._limits.misconfigured(self._record.misconfigured).total_seconds()
        else:
            return self._limits.back_off(self._attempts).total_seconds()
        self._gate.hold(moment.mono_s, wait_s)
        return wait_s

    def _over(
        self, storm: Storm, changes: Changes, told: tuple[Sight, ...], end: End, *, release: bool = True
    ) -> None:
        """What it alone tells of and goes on is due by itself from now on."""
        self._attempts = 0
        last = storm.joined(told, self._clock().utc)
        self._hands.save(lambda: self._storms.end(last, changes, release=release))
        self._record.storm_over(last, end.value)
