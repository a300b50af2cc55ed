"""What the answers are made of: ready-made values, and the store's past incidents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.board import Board
from daemon.health import Health
from daemon.metrics.exposition import Exposition
from pgvigil.model.incident import Incident, State


@dataclass(frozen=True, slots=True)
class Sources:
    """`incidents(states, target, limit)` reads the store, newest first; `now` is the injected clock, in UTC."""

    board: Board
    health: Health
    exposition: Exposition
    incidents: Callable[[Sequence[State] | None, str | None, int], Sequence[Incident]]
    incident: Callable[[int], Incident | None]
    now: Callable[[], datetime]
    grafana_url: Callable[[], str] = lambda: ""
