"""When a sink looks at its set-up, and who hears what it found."""

from collections.abc import Callable

from alerts.outbox.hooks import Noted
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.record import Record
from pgvigil.model.delivery import DeliveryError
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink


class Checkup:
    """Of one destination, for its courier's thread."""

    def __init__(
        self, sink: Sink, clock: Callable[[], Moment], limits: OutboxLimits, *, record: Record, noted: Noted
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._limits = limits
        self._record = record
        self._noted = noted
        self._at_s = clock().mono_s
        self._with = 0  # failures that people must mend, when the set-up was last looked at

    def look(self) -> None:
        """At start, before anything is sent (it learns a channel's id by its name), and from time to time; what was
        found is said to `noted`.
        """
        again_s = self._limits.check_again_s
        try:
            found = self._sink.check()
        except DeliveryError as error:
            self._record.unchecked(error)
        except Exception as error:  # noqa: BLE001 - the boundary of the sink
            self._record.bug(error)
        else:
            self._record.checked()
            self._noted(found)
            again_s = again_s if found else self._limits.check_s
        self._at_s = self._clock().mono_s + again_s
        self._with = self._record.misconfigured

    @property
    def in_s(self) -> float:
        """Until the next look; at once when calls say another thing of the set-up than when it was last seen."""
        if self._record.misconfigured != self._with:
            return 0.0
        return max(0.0, self._at_s - self._clock().mono_s)
