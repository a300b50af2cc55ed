"""An incident, a real store, a real worker and a real sink, all before a fake Slack."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from alerts.outbox.limits import OutboxLimits
from alerts.outbox.worker import OutboxWorker
from alerts.sinks.slack import SINK, SlackParams
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.model.delivery import Delivery, DeliveryStatus, Want
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink
from pgvigil.problems import Problem
from pgvigil.store import Store
from tests.support.polling import poll

NAME = "oncall"
MENTION = "<!subteam^S123>"

# As in service, only sooner.
QUICK = OutboxLimits(
    between_calls_s=0.0,
    transient_first_s=0.05,
    transient_most_s=0.2,
    misconfigured_first_s=0.1,
    misconfigured_most_s=0.2,
    rate_limited_s=0.1,
    between_looks_s=0.05,
    check_again_s=0.1,
    random=lambda: 0.5,
)


def now() -> Moment:
    return Moment(datetime.now(UTC), time.monotonic())


def token_sink(slack: FakeSlack, folder: Path, channel: str = "#db-oncall") -> Sink:
    path = folder / "token"
    path.write_text(slack.token)
    params = SlackParams(token_file=path, channel=channel, base_url=slack.url, timeout="1s")
    return SINK.build(NAME, params, "")


def webhook_sink(slack: FakeSlack, folder: Path) -> Sink:
    path = folder / "webhook"
    path.write_text(slack.webhook_url)
    return SINK.build(NAME, SlackParams(webhook_url_file=path, timeout="1s"), "")


class Scene:
    """`tell` writes a new version of the incident and wakes the worker, as the engine does."""

    def __init__(self, slack: FakeSlack, store: Store, sink: Sink, **changes: Any) -> None:
        self.slack = slack
        self.store = store
        self.sink = sink
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.noted: list[tuple[Problem, ...]] = []
        self.worker = self._worker()
        self.incident = _incident(**changes)

    def __enter__(self) -> Self:
        self.worker.start()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self.worker.stop(flush_s=0.0)

    def restart(self) -> None:
        """The worker ends and another begins with what the store holds."""
        assert self.worker.stop(flush_s=0.0)
        self.worker = self._worker()
        self.worker.start()

    def take_over(self, store: Store) -> None:
        """What a new process does with the store that another left behind."""
        self.store = store
        self.worker = self._worker()

    def tell(self, kind: str, **changes: Any) -> None:
        before = self.incident if self.incident.id else None
        after = replace(self.incident, evaluated_at=now().utc, version=self.incident.version + 1, **changes)
        want = Want(0, NAME, Level.CRITICAL, MENTION)
        [self.incident] = self.store.incidents.commit([Transition(kind, before, after)], [want])
        self.worker.wake()

    def worsen(self) -> None:
        self.tell("worse", severity=Level.CRITICAL, peak=Level.CRITICAL)

    def resolve(self) -> None:
        self.tell("resolved", state=State.RESOLVED, resolved_at=now().utc, reason="pid 8123 committed")

    def settled(self, deadline_s: float = 10.0) -> Delivery:
        """The row, once the sink reflects the incident as it is."""

        def row_when_settled() -> Delivery | None:
            """The delivery is settled"""
            row = self.row()
            done = row.status is DeliveryStatus.SETTLED and row.seen_version >= self.incident.version
            return row if done else None

        row = poll(row_when_settled, deadline_s)
        assert row is not None
        return row

    def row(self) -> Delivery:
        row = self.store.deliveries.get(self.incident.id, NAME)
        assert row is not None
        return row

    def until(self, *statuses: DeliveryStatus) -> Delivery:
        poll(lambda: self.row().status in statuses, message=f"the delivery is {statuses}")
        return self.row()

    def roots(self) -> Sequence[str]:
        """The messages in the channel as people see them, replies left out."""
        return [as_text(message) for message in self.slack.roots()]

    def replies(self) -> Sequence[str]:
        """The replies to the newest root."""
        return [as_text(message) for message in self.slack.replies(self.slack.roots()[-1]["ts"])]

    def _worker(self) -> OutboxWorker:
        return OutboxWorker(
            NAME,
            self.sink,
            self.store,
            now,
            QUICK,
            noted=self.noted.append,
            on_event=lambda event, fields: self.events.append((event, dict(fields))),
        )


def _incident(**changes: Any) -> Incident:
    at = now().utc
    incident = Incident(
        id=0,
        rule="blocking_chain",
        target="orders-prod",
        database="shop",
        subject="session 8123@2026-11-22T20:01:03+00:00",
        state=State.FIRING,
        severity=Level.WARNING,
        peak=Level.WARNING,
        version=0,
        summary="23 sessions blocked by pid 8123 (idle in transaction)",
        value=252.0,
        peak_value=252.0,
        pending_since=at,
        fired_at=at,
        last_true_at=at,
        state_since=at,
        evaluated_at=at,
    )
    return replace(incident, **changes)
