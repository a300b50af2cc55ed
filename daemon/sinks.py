"""The sinks and their outboxes: built, replaced and left as the configuration says."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog

from alerts.outbox.hooks import Muted, never
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.worker import OutboxWorker
from daemon.clock import Now
from daemon.owed import Owed
from daemon.settings.sections import DaemonSettings
from daemon.settings.settings import BoundSink, Settings
from daemon.setup import OwnSetup
from pgvigil.plugins import Params
from pgvigil.problems import Problem, SetupError
from pgvigil.redact import redact
from pgvigil.store import Store

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Outbox(NamedTuple):
    """A worker, and all that its sink was built of: where that differs it is another sink."""

    worker: OutboxWorker
    made_of: tuple[Any, ...]


class Outboxes:
    """By the sink's name. What readers see is replaced as a whole, so that they need no lock."""

    def __init__(
        self,
        store: Store,
        now: Now,
        owed: Owed,
        looked: Callable[[], bool],
        setup: OwnSetup,
        muted: Muted = never,
    ) -> None:
        self._muted = muted
        self._store = store
        self._now = now
        self._owed = owed
        self._looked = looked
        self._setup = setup
        self._boxes: Mapping[str, Outbox] = {}
        self._leaving: dict[str, OutboxWorker] = {}  # replaced or removed; a call may still be under way

    @property
    def workers(self) -> Mapping[str, OutboxWorker]:
        return {name: box.worker for name, box in self._boxes.items()}

    def wake(self) -> None:
        for box in self._boxes.values():
            box.worker.wake()

    def prepare(self, settings: Settings) -> Mapping[str, Outbox]:
        """The outboxes that `settings` ask for, unchanged ones as they are. Raises SetupError, and leaves nothing then."""
        boxes: dict[str, Outbox] = {}
        try:
            for name, bound in settings.sinks.items():
                boxes[name] = self._prepared(name, bound, settings.daemon)
        except BaseException:
            self.discard(boxes)
            raise
        return boxes

    def discard(self, boxes: Mapping[str, Outbox]) -> None:
        """What was prepared is not wanted: the present ones go on, so nothing of the new ones may wait for them."""
        for box in self._new(boxes).values():
            box.worker.finish(0.0)
            box.worker.join(0.0)

    def replace(self, boxes: Mapping[str, Outbox]) -> None:
        """Go over to `boxes`. Raises SetupError when their threads cannot be had; nothing has changed then.

        The worker of a sink that changed finishes its call before the new one takes its rows; what a sink that
        was removed has not been told is dropped.
        """
        for name, box in self._new(boxes).items():
            self._start(name, box, boxes)
        gone = {name: box for name, box in self._boxes.items() if boxes.get(name) is not box}
        self._boxes = boxes
        self._leaving = {name: worker for name, worker in self._leaving.items() if not worker.ended.is_set()}
        for name, box in gone.items():
            box.worker.retire()
            self._leaving[name] = box.worker
            if name in boxes:
                log.info("sink_replaced", sink=name)
            self._setup.note(_of(name), ())
        for name in boxes:
            self._owed.cancel(_of(name))
        for name in gone.keys() - boxes.keys():
            self._owed.add(_of(name), partial(self._leave, name, gone[name].worker))

    def adopt(self, boxes: Mapping[str, Outbox]) -> None:
        """At the start: these it will be; `start` sets them to work."""
        self._boxes = boxes

    def start(self) -> None:
        for name in sorted(self._store.deliveries.sinks() - self._boxes.keys()):
            self._owed.add(_of(name), partial(self._leave, name, None))
        for box in self._boxes.values():
            box.worker.start()

    def _new(self, boxes: Mapping[str, Outbox]) -> dict[str, Outbox]:
        return {name: box for name, box in boxes.items() if self._boxes.get(name) is not box}

    def _prepared(self, name: str, bound: BoundSink, daemon: DaemonSettings) -> Outbox:
        public_url = daemon.public_url.reveal()
        limits = OutboxLimits(
            between_calls_s=bound.kind.between_calls_s,
            refresh_s=bound.kind.refresh_s,
            storm_at=daemon.storm_at,
            storm_within_s=daemon.storm_within_s,
            storm_quiet_s=daemon.storm_quiet_s,
        )
        made_of = (bound.kind.name, bound.params, public_url, limits, tuple(secrets_of(bound.params)))
        present = self._boxes.get(name)
        if present is not None and present.made_of == made_of:
            return present
        sink = built(name, lambda: bound.kind.made(name, bound.params, public_url, self._now))
        worker = OutboxWorker(
            name,
            sink,
            self._store,
            self._now,
            limits,
            settled=self._looked,
            noted=lambda problems: self._note(name, worker, problems),
            muted=self._muted,
        )
        return Outbox(worker, made_of)

    def _note(self, name: str, worker: OutboxWorker, problems: tuple[Problem, ...]) -> None:
        """What the sink says of its set-up, unless it is leaving."""
        if worker not in self._leaving.values():
            self._setup.note(_of(name), problems)

    def _start(self, name: str, box: Outbox, boxes: Mapping[str, Outbox]) -> None:
        present = self._boxes.get(name)
        before = self._leaving.get(name) if present is None else present.worker
        try:
            box.worker.start(None if before is None else before.ended)
        except RuntimeError as error:
            self.discard(boxes)
            raise SetupError(_notbuilt(name, str(error))) from error

    def _leave(self, name: str, worker: OutboxWorker | None) -> bool:
        if worker is not None and not worker.ended.is_set():
            return False
        missed = self._store.deliveries.leave(name)
        self._store.digests.retain(tuple(self._boxes))
        log.warning("sink_left", sink=name, incidents_not_told=missed)
        return True


def _of(name: str) -> str:
    return f"sink {name}"


def secrets_of(params: Params) -> Iterable[bytes | None]:
    """What the files hold that the section names, as hashes: rotated under the same path it is another secret."""
    for key in type(params).model_fields:
        file = getattr(params, key)
        if key.endswith("_file") and isinstance(file, Path):
            try:
                yield hashlib.sha256(file.read_bytes()).digest()
            except OSError:  # whoever builds the sink says so
                yield None


def built(name: str, build: Callable[[], T]) -> T:
    """What `build` makes. Raises SetupError, also for a defect in the sink's code."""
    try:
        return build()
    except SetupError:
        raise
    except Exception as error:  # the sink's boundary
        log.exception("sink_bug", sink=name)
        raise SetupError(_notbuilt(name, f"it threw {type(error).__name__}")) from error


def _notbuilt(name: str, reason: str) -> Problem:
    return Problem(
        slug="sink-not-built",
        sentence=f"The sink {name} cannot be set up: {redact(reason)}.",
        fix=f"Look at the section [sinks.{name}], and in the log for the details.",
    )
