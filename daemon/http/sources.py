"""What the answers are made of: ready-made values, and the store's past incidents."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.markers import Markers
from alerts.silences import Silences
from daemon.board import Board
from daemon.health import Health
from daemon.metrics.exposition import Exposition
from pgvigil.model.action import Action, Feedback, Outcome
from pgvigil.model.incident import Event, Incident, State
from pgvigil.model.moment import Moment
from pgvigil.receiver import Receiver


@dataclass(frozen=True, slots=True)
class Silencing:
    """`open` are the incidents of now; `follow` has them follow what was changed."""

    silences: Silences
    open: Callable[[], Sequence[Incident]]
    follow: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Sources:
    """`incidents(states, target, limit)` and `resolved(since, limit)` read the store, newest first; `history` has
    the oldest first. `act` does what somebody does to an incident. `actions` are what
    people did to it; `why` says in sections with titles why people were told, or not. `now` is the injected clock.
    """

    board: Board
    health: Health
    exposition: Exposition
    incidents: Callable[[Sequence[State] | None, str | None, int], Sequence[Incident]]
    incident: Callable[[int], Incident | None]
    history: Callable[[int], Sequence[Event]]
    resolved: Callable[[datetime, int], Sequence[Incident]]
    act: Callable[[Action], Outcome]
    silencing: Silencing
    markers: Markers
    now: Callable[[], Moment]
    feedback: Callable[[], Sequence[Feedback]] = list
    receivers: Callable[[], Mapping[str, Receiver]] = dict
    grafana_url: Callable[[], str] = lambda: ""
    actions: Callable[[int], Sequence[Action]] = lambda _number: ()
    why: Callable[[Incident], Iterable[tuple[str, Sequence[str]]]] = lambda _item: ()
