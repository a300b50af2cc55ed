"""What an outbox is given by those who build it, and what it has where it is given nothing."""

from collections.abc import Callable
from datetime import datetime

from pgvigil.model.incident import Incident
from pgvigil.problems import Problem


class Interrupted(Exception):  # noqa: N818 - not an error: the worker was told to stop
    """There is no more time. What is under way is taken up at the next start."""


Noted = Callable[[tuple[Problem, ...]], None]


def ignored(_problems: tuple[Problem, ...]) -> None:
    """Nobody wants to hear what is wrong with the set-up."""


Muted = Callable[[Incident, str, datetime], bool]


def never(_incident: Incident, _sink: str, _now: datetime) -> bool:
    """Nothing is muted anywhere."""
    return False
