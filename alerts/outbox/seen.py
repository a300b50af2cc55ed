"""What people at a destination have seen, or may have."""

from dataclasses import dataclass

from pgvigil.model.delivery import Act, Delivery
from pgvigil.model.incident import State
from pgvigil.model.level import Level


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last message told."""

    state: State
    level: Level


def possibly_seen(delivery: Delivery) -> tuple[Seen, ...]:
    """What the last message that surely arrived told, and what any may have told that perhaps came after it."""
    surely = last_seen(delivery)
    maybe = tuple(Seen(state, level) for state, level in delivery.maybe_seen)
    return maybe if surely is None else (surely, *maybe)


def last_seen(delivery: Delivery) -> Seen | None:
    """What the last message that surely arrived told."""
    if delivery.seen_state is None or delivery.seen_level is None:
        return None
    return Seen(delivery.seen_state, delivery.seen_level)


def in_flight(delivery: Delivery) -> Act | None:
    """The creating act that was begun and of which no end is known."""
    if delivery.act_key is None:
        return None
    return Act.of_key(delivery.act_key)
