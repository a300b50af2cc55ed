"""Reading anew, off schedule, what one incident stands on: for somebody who looks at its message."""

from alerts.acknowledging import refused
from daemon.board import TargetView
from daemon.clock import Now
from daemon.fleet import Fleet, Watched
from pgvigil.model.action import Action, Outcome, Result
from pgvigil.model.incident import Incident
from pgvigil.text import one_line
from pgvigil.units import format_duration

REST_S = 5.0  # of a target: many people may press many buttons
DUTY = 20  # what took long rests for so many times as long

_PROBE = "availability"  # tells also of a target that is down
_OWN = frozenset({_PROBE, "freshness"})  # judged every few seconds, whatever is read


class Refreshing:
    """What is asked for is only made due: the lanes read it in their turn, one thing at a time, within their limits."""

    def __init__(self, fleet: Fleet, now: Now) -> None:
        self._fleet = fleet
        self._now = now
        self._read_mono_s: dict[str, float] = {}  # by target

    def act(self, target: str, action: Action) -> Outcome | None:
        """See `Fleet.act`."""
        one = self._fleet.watched.get(target)
        if one is None:
            return None
        incident = next((each for each in one.engine.open() if each.id == action.incident_id), None)
        return None if incident is None else self._refreshed(one, incident, action)

    def _refreshed(self, one: Watched, incident: Incident, action: Action) -> Outcome | None:
        refusal = refused(incident) or self._resting(one, incident)
        if refusal is not None:
            return refusal
        feeds = _feeds(one, incident)
        why = _obstacle(one.recorder.view, incident, feeds)
        if why:
            return Outcome(Result.REFUSED, incident, f"{incident.name} cannot be read again: {why}")
        outcome = one.engine.act(action, self._now())
        if outcome is not None and outcome.result is Result.DONE:
            self._read_mono_s[incident.target] = self._now().mono_s
            one.target.read_now(feeds, incident.database)
        return outcome

    def _resting(self, one: Watched, incident: Incident) -> Outcome | None:
        now_s = self._now().mono_s
        since_s = now_s - self._read_mono_s.get(incident.target, float("-inf"))
        feeds, collectors = _feeds(one, incident), one.recorder.view.collectors
        took_s = [each.last_duration_s or 0.0 for each in collectors if each.collector in feeds]
        rest_s = max(REST_S, DUTY * max(took_s, default=0.0))
        if since_s >= rest_s:
            return None
        when = f"{format_duration(since_s)} ago; again in {format_duration(rest_s - since_s)}"
        return Outcome(Result.ALREADY, incident, f"{incident.target} was read {when}")


def _feeds(one: Watched, incident: Incident) -> frozenset[str]:
    bound = one.pipeline.rules.get(incident.rule)
    return frozenset() if bound is None else frozenset(bound.rule.watches)


def _obstacle(view: TargetView, incident: Incident, feeds: frozenset[str]) -> str:
    """Why nothing can be read for it now, in words; "" where something can."""
    if not view.up and _PROBE not in feeds:
        failure = None if view.availability is None else view.availability.failure
        return f"{view.name} does not answer" + (f": {one_line(failure.message)}" if failure else "")
    places = (None, incident.database)
    read = [one for one in view.collectors if incident.database is None or one.database in places]
    if any(one.collector in feeds for one in read) or feeds & _OWN:
        return ""
    return f"{', '.join(sorted(feeds))} is not read there"
