"""When a destination may be called again: by its pace, and after it asked to be left alone."""


class Gate:
    """On the monotonic clock, so that a step of the wall clock neither floods nor silences a destination."""

    def __init__(self, between_calls_s: float) -> None:
        self._between_calls_s = between_calls_s
        self._paced_until_s = float("-inf")
        self._held_until_s = float("-inf")

    def called(self, mono_s: float) -> None:
        self._paced_until_s = mono_s + self._between_calls_s

    def hold(self, mono_s: float, for_s: float) -> None:
        self._held_until_s = max(self._held_until_s, mono_s + for_s)

    def wait_s(self, mono_s: float) -> float:
        """Seconds until the next call, 0 when it may be made now."""
        return max(0.0, self._paced_until_s - mono_s, self._held_until_s - mono_s)
