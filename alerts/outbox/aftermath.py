"""What becomes of a row when a call failed. Pure: the row and the failure in, the row to write out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.outbox.limits import OutboxLimits
from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryError, DeliveryFailure, DeliveryStatus

_MAX_ERROR_CHARS = 500


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`row` is what to write; `hold` is how long the whole destination is left alone."""

    row: Delivery
    hold: timedelta | None = None


def after_failure(
    row: Delivery,
    doubt: Delivery | None,
    act: Act,
    error: DeliveryError,
    now: datetime,
    limits: OutboxLimits,
    *,
    misconfigured: int,
) -> Aftermath:
    """`row` as it was written before the call, with `act` in flight if it creates something.

    `doubt` is the row of an earlier act that may have arrived and that `act` repeats: when `act` surely did
    not arrive, that one is still in doubt. `misconfigured` counts such failures of the destination in a row.
    """
    failed = replace(row, attempts=row.attempts + 1, last_error=str(error)[:_MAX_ERROR_CHARS])
    kind = error.kind
    if kind is DeliveryFailure.AMBIGUOUS and act.creates:
        return Aftermath(_later(replace(failed, status=DeliveryStatus.AMBIGUOUS), now, limits))
    failed = _did_not_arrive(failed, doubt)
    if kind is DeliveryFailure.RATE_LIMITED:
        return Aftermath(replace(failed, attempts=row.attempts), limits.rate_limited(error.retry_after_s))
    if kind is DeliveryFailure.MISCONFIGURED:
        hold = limits.misconfigured(misconfigured)
        return Aftermath(replace(failed, status=DeliveryStatus.PARKED, not_before=now + hold), hold)
    if kind is DeliveryFailure.REJECTED:
        again_at = now + timedelta(seconds=limits.rejected_s)
        return Aftermath(replace(failed, status=DeliveryStatus.PARKED, not_before=again_at))
    if kind is DeliveryFailure.GONE and (act.kind is not ActKind.POST or row.thread):
        return Aftermath(_unbound(failed, act))
    return Aftermath(_later(failed, now, limits))


def look_failed(
    row: Delivery, error: DeliveryError, now: datetime, limits: OutboxLimits, *, misconfigured: int
) -> Aftermath:
    """The search for the act in flight failed: it stays in doubt, and is searched for again."""
    if error.kind is DeliveryFailure.RATE_LIMITED:
        return Aftermath(row, limits.rate_limited(error.retry_after_s))
    failed = replace(
        row,
        status=DeliveryStatus.AMBIGUOUS,
        attempts=row.attempts + 1,
        last_error=str(error)[:_MAX_ERROR_CHARS],
    )
    if error.kind is DeliveryFailure.MISCONFIGURED:
        hold = limits.misconfigured(misconfigured)
        return Aftermath(replace(failed, status=DeliveryStatus.PARKED, not_before=now + hold), hold)
    return Aftermath(_later(failed, now, limits))


def without_act(row: Delivery) -> Delivery:
    """The row when it is certain that what was in flight did not arrive."""
    return replace(row, status=DeliveryStatus.DUE, act_key=None, act_at=None, maybe_seen=())


def _did_not_arrive(row: Delivery, doubt: Delivery | None) -> Delivery:
    if doubt is None:
        return without_act(row)
    return replace(
        row,
        status=DeliveryStatus.AMBIGUOUS,
        act_key=doubt.act_key,
        act_at=doubt.act_at,
        maybe_seen=doubt.maybe_seen,
    )


def _unbound(row: Delivery, act: Act) -> Delivery:
    """The message that was to be edited or answered is gone, or the digest in whose thread one was to stand."""
    if act.kind is ActKind.POST:
        return replace(row, thread={}, not_before=None)
    return replace(row, remote={}, not_before=None)


def _later(row: Delivery, now: datetime, limits: OutboxLimits) -> Delivery:
    return replace(row, not_before=now + limits.back_off(row.attempts))
