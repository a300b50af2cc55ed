"""How long something has lasted, whatever the wall clock does meanwhile."""

from collections.abc import Hashable
from datetime import datetime

from pgvigil.model.moment import Moment


class Stopwatches:
    """One for each key. What lasted before the first look is taken from the stamp, the rest from the monotonic clock."""

    def __init__(self) -> None:
        self._began: dict[Hashable, tuple[datetime, float]] = {}
        self._asked: set[Hashable] = set()

    def elapsed_s(self, key: Hashable, since: datetime, moment: Moment) -> float:
        """Seconds since `since`; another stamp under the same key is another beginning."""
        self._asked.add(key)
        stamp, began_s = self._began.get(key, (None, 0.0))
        if stamp != since:
            began_s = moment.mono_s - max((moment.utc - since).total_seconds(), 0.0)
            self._began[key] = (since, began_s)
        return moment.mono_s - began_s

    def forget(self) -> None:
        """What was not asked for since the last time is over."""
        self._began = {key: value for key, value in self._began.items() if key in self._asked}
        self._asked.clear()
