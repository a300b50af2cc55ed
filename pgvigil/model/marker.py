"""What was done, and when."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What people or their programs did (a deploy, a migration), as one line of theirs.

    `id` is chosen by whoever sends it: the same one again is the same marker. `match` has a key (target, database, or a
    label) and a pattern each: of one key any may match, of different keys all must; with none it is about everything.
    """

    id: str
    at: datetime
    text: str
    author: str
    match: tuple[tuple[str, str], ...] = ()
