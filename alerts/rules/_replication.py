"""What the rules about replication share: time behind without trusting a clock, and who is who among the peers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from collectors.replication import Replica, ReplicationReading
from collectors.wal_receiver import Standby, WalReceiverReading
from pgvigil.model.finding import target_key
from pgvigil.model.series import Point
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Context, Peer

_STALE_INTERVALS = 3  # a peer's reading older than this says nothing of now


class Behind(NamedTuple):
    """Time since the log first went beyond a position; `at_least` where it did so before the first known point."""

    seconds: float
    at_least: bool


def behind(points: Sequence[Point], position: float, now: datetime) -> Behind | None:
    """How long ago the log first was beyond `position`, by the remembered ones; None when it is not beyond.

    No clock of a transaction is asked: on an idle primary the log does not move, and nothing is behind.
    """
    first: Point | None = None
    for point in reversed(points):
        if point.value <= position:
            break
        if first is not None and point.value > first.value:  # what it was before is another log
            return _since(first, now, at_least=True)
        first = point
    else:
        return None if first is None else _since(first, now, at_least=True)
    return None if first is None else _since(first, now, at_least=False)


def _since(point: Point, now: datetime, *, at_least: bool) -> Behind:
    return Behind(max(0.0, (now - point.at).total_seconds()), at_least)


def fresh(peer: Peer, feed: str, now: datetime) -> Any:
    """What the peer's collector read lately; None where there is nothing to be believed now."""
    taken = peer.latest(feed)
    if not peer.up or not isinstance(taken, Snapshot):
        return None
    oldest = now - timedelta(seconds=_STALE_INTERVALS * taken.interval_s)
    return taken.rows if taken.taken_at >= oldest else None


def standby_of(replica: str, slot: str | None, context: Context) -> tuple[Peer, WalReceiverReading] | None:
    """The watched standby that connects under this name or slot, and its own account."""
    for peer in context.peers:
        reading: WalReceiverReading | None = fresh(peer, "wal_receiver", context.now)
        if reading is None or reading.standby is None:
            continue
        if replica == reading.standby.application or (slot and slot == reading.standby.slot):
            return peer, reading
    return None


def target_of_primary(context: Context) -> frozenset[str]:
    """The watched primary of this standby, as an entity for `about`: while it is down nobody can stream from it."""
    peers = (peer for peer in context.peers if peer.facts is not None and not peer.facts.in_recovery)
    return frozenset(target_key(peer.name) for peer in peers)


def target_of_replica(replica: str, slot: str | None, context: Context) -> frozenset[str]:
    """The watched standby of that name or slot by its last account, however old, as an entity for `about`: while it is
    down it does not stream. One without a name of its own is taken for the only watched one without.
    """
    known = {peer.name: standby for peer in context.peers if (standby := _last_account(peer)) is not None}
    found = [
        name
        for name, standby in known.items()
        if replica == standby.application or (slot and slot == standby.slot)
    ]
    nameless = [name for name, standby in known.items() if replica.startswith(f"{standby.application} at ")]
    chosen = found or (nameless if len(nameless) == 1 else [])
    return frozenset(map(target_key, chosen))


def _last_account(peer: Peer) -> Standby | None:
    taken = peer.latest("wal_receiver")
    return taken.rows.standby if isinstance(taken, Snapshot) else None


def told_by_sender(standby: Standby, context: Context) -> bool:
    """Whether a watched primary sees this standby, and so judges it. One without a name is taken for any such."""
    for peer in context.peers:
        sender: ReplicationReading | None = fresh(peer, "replication", context.now)
        if sender is None or sender.in_recovery:
            continue
        if any(_is(standby, replica) for replica in sender.replicas.values()):
            return True
    return False


def _is(standby: Standby, replica: Replica) -> bool:
    if standby.slot:
        return standby.slot == replica.slot
    return standby.application == (replica.application or "walreceiver")


def replica_entity(name: str) -> str:
    """The entity of a receiver, for `about` and `explains`."""
    return f"replica {name}"


def slot_entity(name: str) -> str:
    """The entity of a slot, for `about` and `explains`."""
    return f"slot {name}"


def entities(replica: Replica) -> frozenset[str]:
    return frozenset(
        {replica_entity(replica.name)} | ({slot_entity(replica.slot)} if replica.slot else set())
    )
