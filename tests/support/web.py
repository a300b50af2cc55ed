"""pgvigil's HTTP port with everything behind it in the test's hands."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from prometheus_client.core import Metric

from alerts.markers import Markers
from alerts.silences import Silences
from daemon.board import Board, TargetView
from daemon.clock import Ticker, system_now
from daemon.health import Health
from daemon.http.app import build
from daemon.http.auth import Keys
from daemon.http.hosts import Hosts
from daemon.http.server import HttpServer, bind
from daemon.http.sources import Silencing, Sources
from daemon.http.tokens import Holder
from daemon.metrics.exposition import Exposition
from daemon.supervisor import Loop, Supervisor
from pgvigil.model.action import Action, Outcome, Result
from pgvigil.model.incident import Event, Incident, State
from pgvigil.model.level import Level
from pgvigil.model.marker import Marker
from pgvigil.model.moment import Moment
from pgvigil.model.silence import Silence
from pgvigil.store import StoreError
from tests.support.views import T0, incident

FIRED = Event(at=T0, kind="fired", version=2, why="30s are over", severity=Level.CRITICAL, state=State.FIRING)


def own_names() -> Hosts:
    return Hosts(listen="127.0.0.1")


class Kept:
    """Silences in a list: see `alerts.silences.SilenceStore`."""

    def __init__(self) -> None:
        self._ids = 0

    def list(self) -> Sequence[Silence]:
        return ()

    def add(self, silence: Silence) -> Silence:
        self._ids += 1
        return replace(silence, id=self._ids)

    def expire(self, silence_id: int, by: str, at: datetime) -> None:
        del silence_id, by, at

    def release(self, silence_id: int) -> None:
        del silence_id

    def matched(self, silence_id: int, at: datetime) -> None:
        del silence_id, at


class Pinboard:
    """Markers are in memory alone: see `alerts.markers.MarkerStore`."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def list(self) -> Sequence[Marker]:
        return ()

    def add(self, marker: Marker) -> None:
        del marker
        if not self._world.writable:
            raise StoreError("the disk is gone")


@dataclass
class World:
    """The store has one firing incident, INC-7, and one that resolved, INC-8; the board is empty at first."""

    board: Board = field(default_factory=Board)
    stuck_s: float = 0.0
    writable: bool = True
    url: str = ""
    hold: threading.Event | None = None  # answers from the store wait for it
    hold_metrics: threading.Event | None = None
    later_s: float = 0.0  # how far pgvigil's clock is beyond T0
    sources: Sources | None = None
    followed: threading.Event = field(default_factory=threading.Event)
    acted: list[Action] = field(default_factory=list)
    keys: Keys = field(default_factory=Keys)

    def act(self, action: Action) -> Outcome:
        """As the desk: INC-7 can be acted on, INC-8 is over, and without its disk nothing can be written."""
        if not self.writable:
            raise StoreError("the disk is gone")
        self.acted.append(action)
        item = self.incident(action.incident_id)
        assert item is not None
        result = Result.DONE if item.open else Result.REFUSED
        return Outcome(result, item, f"{item.name}: {result}")

    def own(self) -> Sequence[Metric]:
        """The daemon's own metrics."""
        if self.hold_metrics is not None:
            assert self.hold_metrics.wait(10)
        return ()

    def publish(self, *views: TargetView) -> None:
        for each in views:
            self.board.publish(each)
        self.later_s += 2.0  # what was rendered before is older than a page may be

    def now(self) -> Moment:
        return Moment(T0 + timedelta(seconds=self.later_s), time.monotonic() + self.later_s)

    def incidents(self, states: Sequence[State] | None, target: str | None, limit: int) -> Sequence[Incident]:
        if self.hold is not None:
            assert self.hold.wait(10)
        found = [
            item
            for item in (incident(), incident(id=8, state=State.RESOLVED))
            if target in (None, item.target)
        ]
        return [item for item in found if states is None or item.state in states][:limit]

    def incident(self, number: int) -> Incident | None:
        stored = {7: incident(), 8: self.resolved(T0, 1)[0]}
        shown = {item.id: item for view in self.board.targets for item in view.incidents}
        return (stored | shown).get(number)

    def resolved(self, _since: datetime, _limit: int) -> Sequence[Incident]:
        if not self.writable:
            raise StoreError("the disk is gone")
        return [incident(id=8, state=State.RESOLVED, resolved_at=T0, reason="nobody waits any more")]

    def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, headers=headers), timeout=10
            ) as answer:
                return answer.status, answer.read().decode("utf-8", "surrogateescape"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), dict(error.headers)


@contextmanager
def serving(token: str = "", holders: tuple[Holder, ...] = ()) -> Iterator[World]:
    """A world whose port answers until the end."""
    world = World()
    supervisor = Supervisor(system_now, Ticker(system_now), (), [Loop("writer", lambda: world.stuck_s, 5.0)])
    supervisor.start()
    world.sources = Sources(
        board=world.board,
        health=Health(supervisor, world.board, lambda: {"orders-prod"}, lambda: world.writable),
        exposition=Exposition(world.board, world.own),
        incidents=world.incidents,
        incident=world.incident,
        history=lambda _number: (FIRED,),
        resolved=world.resolved,
        act=world.act,
        silencing=Silencing(Silences(Kept()), lambda: world.incidents(None, None, 9), world.followed.set),
        markers=Markers(Pinboard(world)),
        now=world.now,
        grafana_url=lambda: "https://grafana.example.com",
        actions=lambda number: [one for one in world.acted if one.incident_id == number],
        why=lambda item: [("Deliveries", [f"chat: nothing was posted of {item.name}"])],
    )
    world.keys = Keys(token, holders)
    server = HttpServer(build(world.sources, own_names, lambda: world.keys), bind("127.0.0.1:0"))
    server.start()
    world.url = server.url
    try:
        yield world
    finally:
        server.stop()
        supervisor.stop()
