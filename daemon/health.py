"""Whether pgvigil itself works: from ready-made values, without a lock and without any target."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from daemon.board import Board
from daemon.supervisor import Supervisor

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
