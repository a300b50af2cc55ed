"""What is different from before, and since when."""

from dataclasses import dataclass
from datetime import datetime

# The key of a journal that says which cluster it is of. Where it differs, all else is of another one, and is not
# compared.
IDENTITY = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that a collector keeps a journal of has another value. None is absence: created or gone.

    It happened after `after`, when the old value was last seen, and not later than `at`, when the new one was first
    seen. Both are aware, UTC; between them pgvigil may have been down.
    """

    database: str | None
    key: str
    old: str | None
    new: str | None
    after: datetime
    at: datetime
