"""One subject's life in tests: observations in, transitions out."""

from alerts.lifecycle import step
from alerts.timers import Policy, restore
from alerts.tracked import Absent, NotCovered, Observation, Seen, Tracked
from pgvigil.model.incident import Incident, Transition
from pgvigil.model.level import Level
from tests.unit.alerts.acting import Clock, finding

HOUR_S = 3600.0
BLIND = NotCovered("the database could not be read")
ABSENT = Absent()


def seen(level: Level = Level.WARNING, value: float | None = None, **more: object) -> Seen:
    return Seen(finding(level=level, value=value, **more))


class Life:
    """Feeds observations to one subject and remembers the transitions."""

    def __init__(self, for_s: float = 0.0, keep_firing_for_s: float = 0.0) -> None:
        self.policy = Policy(for_s=for_s, keep_firing_for_s=keep_firing_for_s)
        self.clock = Clock()
        self.tracked: Tracked | None = None
        self.written: list[Transition] = []

    def after(self, seconds: float, observation: Observation) -> str | None:
        """The kind of the transition that `observation` makes, `seconds` after the one before."""
        outcome = step(self.tracked, observation, self.policy, self.clock.after(seconds))
        self.tracked = outcome.tracked
        if outcome.transition is None:
            return None
        self.written.append(outcome.transition)
        return outcome.transition.kind

    @property
    def incident(self) -> Incident:
        assert self.tracked is not None
        return self.tracked.incident

    def restart(self, away_s: float) -> None:
        """Another process finds what was written last."""
        stored = self.written[-1].after
        self.tracked = Tracked(stored, restore(stored, self.clock.after(away_s)))
