"""The incidents of pgvigil itself: what it sees of its own sinks, judged and told like what it sees of a target."""

import contextlib
from collections.abc import Callable, Mapping, Sequence

from alerts.engine import Engine, IncidentStore
from alerts.evaluation import Silenced
from alerts.outbox.worker import OutboxWorker
from alerts.routes import Recipient
from alerts.sink_failing import FEED, NAME, OWN, SinkHealth, Trouble, bound, others
from daemon.board import Board
from daemon.clock import Now
from daemon.judging import judged
from daemon.reading import own_reading
from pgvigil.model.action import Action, Outcome
from pgvigil.model.incident import Incident, Transition
from pgvigil.plugins import Context
from pgvigil.store import StoreError
from pgvigil.store.deliveries import Queue

LOOK_S = 5.0


class Itself:
    """Thread-safe but for `look`, which one thread calls. `queues` raises StoreError when nobody knows what waits."""

    def __init__(
        self,
        *,
        now: Now,
        board: Board,
        store: IncidentStore,
        queues: Callable[[], Mapping[str, Queue]],
        sinks: Callable[[], Mapping[str, OutboxWorker]],
        route: Callable[[Incident], Sequence[Recipient]],
        committed: Callable[[Sequence[Transition]], None],
        silenced: Silenced,
    ) -> None:
        self._now = now
        self._board = board
        self._queues = queues
        self._sinks = sinks
        self._since: dict[str, tuple[OutboxWorker, float]] = {}  # in trouble, on the monotonic clock
        self._after_s = 0.0
        self._engine = Engine(OWN, {}, {}, store, others(route, sinks), committed, silenced=silenced)

    def configure(self, after_s: float) -> None:
        """How long a sink may not be reached before that is an incident."""
        self._after_s = after_s
        self._engine.configure({}, {NAME: bound(after_s)})

    def load(self) -> None:
        """Take up what the store holds. Raises StoreError."""
        self._engine.load(self._now())
        self._show()

    def look(self) -> None:
        """Judge how the sinks do. What cannot be written does not hold: the next look brings it again."""
        moment = self._now()
        rows = tuple(self._health(moment.mono_s))
        reading = own_reading(OWN, FEED, rows, LOOK_S, moment)
        judgement = judged(bound(self._after_s), reading, Context(target=OWN, now=moment.utc))
        if judgement is not None:
            with contextlib.suppress(StoreError):  # counted and logged by the engine
                self._engine.observe(FEED, [(NAME, judgement)], moment)
        self._show()

    def catch_up(self) -> bool:
        """Have the incidents follow routes and silences. Raises StoreError."""
        self._engine.catch_up(self._now())
        self._show()
        return True

    def act(self, action: Action) -> Outcome | None:
        """See `Fleet.act`."""
        try:
            return self._engine.act(action, self._now())
        finally:
            self._show()

    @property
    def open(self) -> tuple[Incident, ...]:
        return self._engine.open()

    def _show(self) -> None:
        self._board.incidents = self._engine.open()

    def _health(self, mono_s: float) -> list[SinkHealth]:
        waiting = self._waiting()
        workers = self._sinks()
        self._since = {name: each for name, each in self._since.items() if workers.get(name) is each[0]}
        return [
            self._of(
                name,
                worker,
                worker.trouble,
                None if waiting is None else waiting.get(name, Queue()).pending,
                mono_s,
            )
            for name, worker in workers.items()
        ]

    def _of(
        self,
        name: str,
        worker: OutboxWorker,
        trouble: Trouble | None,
        pending: int | None,
        mono_s: float,
    ) -> SinkHealth:
        if trouble is None:
            self._since.pop(name, None)
            return SinkHealth(name=name, trouble=None, proven=worker.proven, pending=pending)
        _, since_s = self._since.setdefault(name, (worker, mono_s))
        return SinkHealth(name=name, trouble=trouble, lasts_s=mono_s - since_s, pending=pending)

    def _waiting(self) -> Mapping[str, Queue] | None:
        try:
            return self._queues()
        except StoreError:
            return None
