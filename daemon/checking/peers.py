"""What the targets of one pass tell each other: those that are the same cluster."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.checking.look import Look
from daemon.checking.verdict import Judging
from pgvigil.model.facts import Facts
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Peer


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A target as the rules of another one see it."""

    name: str
    look: Look

    @property
    def up(self) -> bool:
        return bool(self.look.up)

    @property
    def facts(self) -> Facts | None:
        return self.look.facts

    def latest(self, feed: str, database: str | None = None) -> Snapshot[Any] | Delta[Any] | None:
        taken = self.look.taken.get((database, feed))
        return None if taken is None else taken.reading


def clusters(judgings: Iterable[Judging]) -> Mapping[str, tuple[Peer, ...]]:
    """By target: the others that share its system identifier. One that never answered is nobody's peer."""
    members: defaultdict[int, list[LookedAt]] = defaultdict(list)
    for one in judgings:
        facts = one.look.facts
        if facts is not None and facts.system_identifier is not None:
            members[facts.system_identifier].append(LookedAt(one.name, one.look))
    return {
        each.name: tuple(other for other in cluster if other is not each)
        for cluster in members.values()
        for each in cluster
    }
