"""Which form of message to begin with."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from alerts.sinks.slack.errors import CONTENT, RefusedError
from alerts.sinks.slack.message import Tier

_KEPT_S = 24 * 3600.0
_KEPT_MOST = 500

T = TypeVar("T")


class TierMemory:
    """Remembers for 24 h which tier worked after a rejection. A sink has one channel, and one of these.

    For one incident at once; for the whole channel only after two incidents were rejected, so that one message
    that Slack dislikes does not make all the others plain.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._worked: dict[int, tuple[Tier, float]] = {}
        self._fallbacks: Counter[str] = Counter()

    @property
    def fallbacks(self) -> Mapping[str, int]:
        """How many messages went out in a lower tier, by its name."""
        return dict(self._fallbacks)

    def send(self, incident_id: int, attempt: Callable[[Tier], T]) -> T:
        """`attempt` in the best tier that is likely to work, and in lower ones while its content is refused.

        Raises the last RefusedError when even plain text was refused.
        """
        tier = self.first(incident_id)
        while True:
            try:
                answer = attempt(tier)
            except RefusedError as refused:
                lower = tier.lower
                if refused.error not in CONTENT or lower is None:
                    raise
                tier = lower
            else:
                if tier is not Tier.FULL:
                    self._remember(incident_id, tier)
                return answer

    def first(self, incident_id: int) -> Tier:
        now = self._clock()
        self._worked = {key: kept for key, kept in self._worked.items() if kept[1] > now}
        known = {number: tier for number, (tier, _) in self._worked.items()}
        if incident_id in known:
            return known[incident_id]
        return max(known.values()) if len(known) >= 2 else Tier.FULL

    def _remember(self, incident_id: int, tier: Tier) -> None:
        self._fallbacks[tier.name.lower()] += 1
        if incident_id not in self._worked and len(self._worked) < _KEPT_MOST:
            self._worked[incident_id] = (tier, self._clock() + _KEPT_S)
