"""The daemon's account of itself: what metrics and logs say of its own work."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from daemon.board import Board
from daemon.fleet import Fleet
from daemon.housekeeping import Housekeeping
from daemon.lanes.pool import Pool
from daemon.metrics.own import OwnStats
from daemon.metrics.sinks import SinkStats
from daemon.reload import LastReload
from daemon.sinks import Outboxes
from daemon.supervisor import Supervisor
from pgvigil.model.incident import Transition
from pgvigil.store import Store, StoreError
from pgvigil.store.deliveries import Queue

log = structlog.get_logger(__name__)

QUIET = frozenset({"refreshed"})  # new figures of the same state: at debug


def log_transitions(transitions: Sequence[Transition]) -> None:
    """One line a transition."""
    for one in transitions:
        say = log.debug if one.kind in QUIET else log.info
        after = one.after
        say(
            "incident",
            change=one.kind,
            id=after.name,
            rule=after.rule,
            target=after.target,
            database=after.database,
            subject=after.subject,
            severity=after.severity.word,
            state=after.state.value,
            summary=after.summary,
            why=one.why or after.reason or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Gathers counts from the parts; takes no lock of theirs for longer than a read."""

    store: Store
    board: Board
    housekeeping: Housekeeping
    outboxes: Outboxes
    fleet: Fleet
    last_reload: LastReload
    pools: Sequence[Pool]
    supervisor: Supervisor
    feedback: Callable[[], Mapping[tuple[str, str], int]]
    heartbeat: Callable[[], tuple[datetime | None, int]]  # the last sign of life that was taken, and failures

    def stats(self) -> OwnStats:
        heartbeat_at, heartbeat_failures = self.heartbeat()
        return OwnStats(
            heartbeat_at=heartbeat_at,
            heartbeat_failures=heartbeat_failures,
            sinks=self.sinks(),
            rule_errors=self.fleet.rule_errors,
            rule_feedback=self.feedback(),
            config_ok=self.last_reload.successful,
            config_loaded_at=self.last_reload.success_at,
            problems=Counter((one.target or "", one.slug) for one in self.board.problems),
            store_errors=self.store.errors,
            store_writable=self.store.writable,
            store_in_memory_at=self.store.in_memory_since,
            store_size_bytes=self.housekeeping.figures.size_bytes,
            store_copied_at=self.housekeeping.figures.copied_at,
            series=sum(memory.series for memory in self.fleet.memories.values()),
            samples_dropped=sum(memory.dropped for memory in self.fleet.memories.values()),
            clock_steps=self.supervisor.clock_steps,
            threads={pool.name: pool.threads for pool in self.pools},
            stuck_loops=len(self.supervisor.stuck),
        )

    def sinks(self) -> dict[str, SinkStats]:
        """What each sink was told, and what it was not."""
        queues = self._queues()
        sinks = {}
        for name, outbox in self.outboxes.workers.items():
            done = outbox.stats()
            queue = None if queues is None else queues.get(name, Queue())
            sinks[name] = SinkStats(
                attempts=done.outcomes,
                pending=None if queue is None else queue.pending,
                parked=None if queue is None else queue.parked,
                oldest_pending_at=None if queue is None else queue.oldest_due_since,
                fallbacks=outbox.sink.fallbacks,
                latency=done.latency,
                dropped=done.dropped,
                digesting=outbox.digesting,
                failing=outbox.trouble is not None,
            )
        return sinks

    def _queues(self) -> Mapping[str, Queue] | None:
        """None when the store cannot be read: all other figures are shown all the same."""
        try:
            return self.store.deliveries.stats()
        except StoreError:
            return None
