"""What the rules about role and timeline share: the last change of a key in the journal of `cluster`."""

from collections.abc import Sequence
from datetime import datetime

from pgvigil.model.change import Change
from pgvigil.model.evidence import Figure

FAILOVER = "failover"  # the entity that relates a new role to a new timeline


def last_change(changes: Sequence[Change], key: str) -> Change | None:
    """The last time that the value of `key` was another one than before; times without any value do not count.

    A change together with the cluster itself is no change: another server answers at this address.
    """
    replaced = {
        change.at for change in changes if change.key == "cluster" and None not in (change.old, change.new)
    }
    found: Change | None = None
    known: str | None = None
    after: datetime | None = None
    for change in changes:
        if change.key != key:
            continue
        if change.old is not None:
            known, after = change.old, change.after
        if change.new is None or known is None or after is None or change.new == known:
            continue
        found = (
            None
            if change.at in replaced
            else Change(database=None, key=key, old=known, new=change.new, after=after, at=change.at)
        )
    return found


def stamps(change: Change) -> tuple[Figure, ...]:
    return (
        Figure("Last seen before", f"{change.after:%Y-%m-%d %H:%M:%S} UTC"),
        Figure("First seen changed", f"{change.at:%Y-%m-%d %H:%M:%S} UTC"),
    )


def between(change: Change) -> str:
    """For a summary."""
    return f"between {change.after:%Y-%m-%d %H:%M:%S} and {change.at:%H:%M:%S} UTC"
