"""What holds of a cluster only where it holds on each of its servers: that nobody uses an index."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from alerts.grading import counted
from alerts.rules import _objects
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Context, Peer
from pgvigil.text import one_line
from schemas.check import Check
from schemas.collectors.schema_checks import COLLECTOR, SchemaReading
from schemas.rows import MOST_KNOWN, CheckRow

_STALE_INTERVALS = 3  # a reading older than this says nothing of now


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the other servers of the cluster say of the rows of one check in one database.

    `known` says whether a row has held for long enough to be believed.
    """

    check: Check
    reading: SchemaReading
    database: str | None
    context: Context
    known: Callable[[CheckRow], bool]

    def refuted(self, row: CheckRow) -> bool:
        """Whether a server has looked and did not find it."""
        return any(self._finds(peer, row) is False for peer in self.context.peers)

    def unjudged(self, row: CheckRow) -> str:
        """Why nobody can tell whether it holds everywhere; empty when it does."""
        if locked := _objects.locked(row):
            return locked
        silent = [peer.name for peer in self.context.peers if self._finds(peer, row) is None]
        if silent:
            return f"not known on {one_line(', '.join(sorted(silent)), 120)}"
        facts = self.context.facts
        if facts is not None and facts.in_recovery:
            return "this is a standby, and its primary is not watched"
        unwatched = self.reading.standbys - self._standbys_watched()
        return f"{counted(unwatched, 'connected standby')} not watched here" if unwatched > 0 else ""

    def _finds(self, peer: Peer, row: CheckRow) -> bool | None:
        """Whether it is so there too; None where it cannot be told."""
        reading = self._reading_of(peer)
        rows = None if reading is None else reading.found.get(self.check.name)
        if rows is None:
            return None
        same = next((each for each in rows if each.subject == row.subject), None)
        if same is None:
            return None if rows and rows[0].found > MOST_KNOWN else False
        return True if self.known(same) else None

    def _reading_of(self, peer: Peer) -> SchemaReading | None:
        taken = peer.latest(COLLECTOR.name, self.database)
        if not isinstance(taken, Snapshot):
            return None
        oldest = self.context.now - timedelta(seconds=_STALE_INTERVALS * taken.interval_s)
        rows: SchemaReading = taken.rows
        return rows if taken.taken_at >= oldest else None

    def _standbys_watched(self) -> int:
        return sum(peer.facts is not None and peer.facts.in_recovery for peer in self.context.peers)
