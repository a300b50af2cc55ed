"""Whether pgvigil itself works: from ready-made values, without a lock and without any target."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from daemon.board import Board
from daemon.supervisor import Supervisor
from pgvigil.model.incident import State

SUPERVISOR_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Health:
    """`alive` fails only when pgvigil is stuck; `ready` when it has not begun or cannot remember."""

    supervisor: Supervisor
    board: Board
    targets: Callable[[], Collection[str]]
    store_writable: Callable[[], bool]

    def alive(self) -> tuple[str, ...]:
        """What is stuck; empty when pgvigil works. Never because of a target."""
        if self.supervisor.age_s > SUPERVISOR_LIMIT_S:
            return ("supervisor",)
        return self.supervisor.stuck

    def ready(self) -> tuple[str, ...]:
        """What is missing; empty when the store can be written and each target was tried once."""
        tried = {view.name for view in self.board.targets if view.first_tried_at is not None}
        missing = [f"target {name} not tried yet" for name in sorted({*self.targets()} - tried)]
        if not self.store_writable():
            missing.insert(0, "the store cannot be written")
        return tuple(missing)


def status_line(board: Board) -> str:
    """What a service manager shows: `3 targets, 1 of them does not answer; 2 open incidents`."""
    views = board.targets
    down = sum(1 for view in views if view.first_tried_at is not None and not view.up)
    incidents = sum(
        1 for view in views for one in view.incidents if one.state in (State.FIRING, State.UNKNOWN)
    )
    silent = f", {down} of them {'does' if down == 1 else 'do'} not answer" if down else ""
    return f"{_count(len(views), 'target')}{silent}; {_count(incidents, 'open incident')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
