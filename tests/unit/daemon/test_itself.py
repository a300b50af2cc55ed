"""A sink that reaches nobody is an incident: told through the others, never through itself, and over when it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from alerts.evaluation import no_silence
from alerts.outbox.worker import OutboxWorker
from alerts.routes import Recipient
from alerts.sink_failing import OWN, Trouble
from daemon.board import Board
from daemon.itself import Itself
from pgvigil.model.evidence import Figure
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.store import Store, StoreError
from pgvigil.store.deliveries import Queue
from tests.support.destination import Clock

REVOKED = Trouble("token_revoked", set_up=True)
REFUSED = Trouble("Slack cannot be reached: refused", set_up=False)


@dataclass
class Worker:
    trouble: Trouble | None = None
    proven: bool = True


@dataclass
class Rig:
    store: Store
    clock: Clock = field(default_factory=Clock)
    board: Board = field(default_factory=Board)
    workers: dict[str, Worker] = field(default_factory=lambda: {"chat": Worker(), "mail": Worker()})
    waiting: Mapping[str, Queue] | None = None
    routed: tuple[Recipient, ...] = (Recipient("chat", "@dba"),)
    written: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.itself = Itself(
            now=self.clock,
            board=self.board,
            store=self.store.incidents,
            queues=self._queues,
            sinks=lambda: cast("dict[str, OutboxWorker]", self.workers),
            route=lambda _incident: self.routed,
            committed=self.written.extend,
            silenced=no_silence,
        )
        self.itself.configure(120.0)
        self.itself.load()

    def _queues(self) -> Mapping[str, Queue]:
        if self.waiting is None:
            raise StoreError("no disk")
        return self.waiting

    def look(self, after_s: float = 5.0) -> tuple[Incident, ...]:
        self.clock.pass_time(after_s)
        self.itself.look()
        return self.board.incidents

    def told(self) -> list[str]:
        (incident,) = self.store.incidents.list(states=tuple(State), target=OWN, limit=5)
        return [row.sink for row in self.store.deliveries.of_incident(incident.id)]


@pytest.fixture
def rig(store: Store) -> Rig:
    return Rig(store, waiting={"chat": Queue(pending=1)})


def test_a_revoked_token_is_told_at_once_through_the_others(rig: Rig) -> None:
    assert rig.look() == ()
    rig.workers["chat"].trouble = REVOKED
    (incident,) = rig.look()
    assert (incident.rule, incident.target, incident.subject) == ("sink_failing", OWN, "sink chat")
    assert "token_revoked" in incident.summary
    assert rig.told() == ["mail"], "the route names the broken one alone: somebody must hear of it"


def test_a_route_to_others_is_kept(rig: Rig) -> None:
    rig.workers |= {"pager": Worker()}
    rig.routed = (Recipient("chat", ""), Recipient("pager", "@lead"))
    rig.workers["chat"].trouble = REVOKED
    rig.look()
    assert rig.told() == ["pager"]


def test_the_only_sink_is_not_told_of_itself(rig: Rig) -> None:
    del rig.workers["mail"]
    rig.workers["chat"].trouble = REVOKED
    (incident,) = rig.look()
    assert incident.state is State.FIRING
    assert rig.told() == []


def test_what_cannot_be_reached_is_an_incident_after_a_while(rig: Rig) -> None:
    rig.workers["chat"].trouble = REFUSED
    assert rig.look() == rig.look(115.0) == ()
    (incident,) = rig.look(5.0)
    assert "cannot be reached" in incident.summary


def test_a_short_outage_is_none(rig: Rig) -> None:
    for trouble in (REFUSED, None, REFUSED):
        rig.workers["chat"].trouble = trouble
        assert rig.look(100.0) == ()


def test_it_ends_when_a_call_succeeds_and_the_same_are_told(rig: Rig) -> None:
    rig.workers["chat"].trouble = REVOKED
    rig.look()
    rig.workers["chat"].trouble = None
    assert rig.look() == ()
    assert [one.kind for one in rig.written] == ["fired", "resolved"]
    assert rig.told() == ["mail"]


def test_with_nothing_to_tell_nobody_knows_whether_it_works(rig: Rig) -> None:
    """It is neither told as an incident, nor called well."""
    rig.waiting = {}
    rig.workers["chat"].trouble = REVOKED
    assert rig.look() == ()
    rig.waiting = {"chat": Queue(pending=2)}
    rig.look()
    rig.waiting = {}
    assert [one.state for one in rig.look()] == [State.UNKNOWN]


def test_after_a_restart_it_stands_until_a_call_succeeds(rig: Rig) -> None:
    rig.workers["chat"].trouble = REVOKED
    rig.look()
    rig.workers["chat"] = Worker(proven=False)
    rig.restart()
    (incident,) = rig.look()
    assert incident.state is State.UNKNOWN
    rig.workers["chat"].proven = True
    assert rig.look() == ()


def test_a_sink_that_is_removed_ends_its_incident(rig: Rig) -> None:
    rig.workers["chat"].trouble = REVOKED
    rig.look()
    del rig.workers["chat"]
    assert rig.look() == ()


def test_a_queue_that_nobody_can_read_hides_nothing(rig: Rig) -> None:
    rig.waiting = None
    rig.workers["chat"].trouble = REVOKED
    (incident,) = rig.look()
    assert Figure("Waiting", "not known") in incident.evidence.figures
