"""What is said of a cluster once, though several of its servers are watched."""

from pgvigil.plugins import Context


def told_by_primary(context: Context) -> bool:
    """Whether this is a standby whose primary is watched: what the catalogue says there is what it says here."""
    facts = context.facts
    if facts is None or not facts.in_recovery:
        return False
    return any(peer.up and peer.facts is not None and not peer.facts.in_recovery for peer in context.peers)
