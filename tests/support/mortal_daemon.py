"""A daemon of two parts, commits and outbox, that kills itself with SIGKILL at a named place.

It plays one story per incident: it fires, it gets worse, it resolves; each step is taken when Slack reflects the
one before. Where it stands it reads from the store, as the engine does, so that it can be started again and again.

With `remind_every_s` it also waits, before it resolves, until two reminders have been heard.

    python -m tests.support.mortal_daemon '{"store": ..., "params": {...}, "incidents": 1, "stage": ..., "nth": ...}'
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from alerts.outbox import timekeeper
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.worker import OutboxWorker
from alerts.routes import Route, Router
from alerts.sinks.slack import SINK, SlackParams
from pgvigil.model.delivery import DeliveryStatus, Want
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.store import Store, incidents
from pgvigil.store.deliveries import Deliveries
from pgvigil.store.incidents import Incidents
from tests.support.views import incident

# name -> the function, and whether the process dies before it or after it
Stages = dict[str, tuple[Any, str, bool]]
STAGES: Stages = {
    "before the commit": (Incidents, "commit", True),
    "inside the commit": (incidents, "_note", False),
    "after the commit": (Incidents, "commit", False),
    "before begin": (Deliveries, "begin", True),
    "after begin": (Deliveries, "begin", False),
    "before settle": (Deliveries, "settle", True),
    "after settle": (Deliveries, "settle", False),
}
OF_REMINDERS: Stages = {
    "before wake": (Deliveries, "wake", True),
    "after wake": (Deliveries, "wake", False),
}


def die_at(stage: str, nth: int) -> None:
    """Arrange for the process to end at the `nth` passage of `stage`."""
    owner, name, before = (STAGES | OF_REMINDERS)[stage]
    real: Callable[..., Any] = getattr(owner, name)
    passages = 0

    def passing(*arguments: Any, **named: Any) -> Any:
        nonlocal passages
        passages += 1
        if before and passages == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)
        if passages == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, passing)


def now() -> Moment:
    return Moment(datetime.now(UTC), time.monotonic())


class Story:
    def __init__(self, store: Store, subject: str, reminders: int) -> None:
        self._store = store
        self._reminders = reminders
        self._subject = subject

    @property
    def incident(self) -> Incident | None:
        found = [each for each in self._store.incidents.list(limit=None) if each.subject == self._subject]
        return found[0] if found else None

    def next_step(self) -> bool:
        """Take the next step if Slack reflects the last one; False at the end of the story."""
        before = self.incident
        if before is None:
            first = incident(id=0, version=1, severity=Level.WARNING, subject=self._subject)
            self._commit("fired", None, replace(first, unattended_since=now().utc))
        elif not self._reflected(before):
            return True
        elif before.version == 1:
            self._commit("worse", before, replace(before, version=2, severity=Level.CRITICAL))
        elif before.version == 2 and not self._reminded(before):
            return True
        elif before.version == 2:
            ended = replace(before, version=3, state=State.RESOLVED, resolved_at=now().utc)
            self._commit("resolved", before, ended)
        else:
            return False
        return True

    def _reflected(self, before: Incident) -> bool:
        row = self._store.deliveries.get(before.id, "oncall")
        return row is not None and row.status is DeliveryStatus.SETTLED and row.seen_version == before.version

    def _reminded(self, before: Incident) -> bool:
        row = self._store.deliveries.get(before.id, "oncall")
        return row is not None and row.seen_reminder >= self._reminders

    def _commit(self, kind: str, before: Incident | None, after: Incident) -> None:
        stamped = replace(after, evaluated_at=now().utc)
        want = Want(0, "oncall", after.severity, "<!here>")
        self._store.incidents.commit([Transition(kind, before, stamped)], [want])


def main(plan: dict[str, Any]) -> None:
    if plan.get("stage"):
        die_at(plan["stage"], plan["nth"])
    store = Store.open(plan["store"])
    sink = SINK.build("oncall", SlackParams(**plan["params"]), "")
    limits = OutboxLimits(between_calls_s=0.0, between_looks_s=0.1, transient_first_s=0.05)
    worker = OutboxWorker("oncall", sink, store, now, limits, on_event=lambda *_: None)
    worker.start()
    print("started", flush=True)
    every_s = plan.get("remind_every_s")
    timekeeper.GRACE_S = 0.0
    keeper = timekeeper.Timekeeper(store)
    router = Router([Route(sinks=("oncall",), remind_every_s=every_s)], ["oncall"], lambda _problem: None)
    stories = [Story(store, str(number), 2 if every_s else 0) for number in range(plan["incidents"])]
    while stories:
        keeper.look(store.incidents.open(), router, now())
        stories = [story for story in stories if story.next_step()]
        worker.wake()
        time.sleep(0.01)
    worker.stop()
    store.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
