"""The chain from a rule to the people who were told of an incident, or were not, with the reason of each link."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.bound import BoundRule
from alerts.outbox.acts import acts
from alerts.render import magnitude, peak_of
from alerts.routes import Recipient, Router, Step, muted_until, path
from alerts.sink_failing import OWN, others
from alerts.sink_failing import bound as sink_failing
from daemon.jsonable import stamp
from daemon.paths import path_lines, step_object
from daemon.settings import Settings
from pgvigil.model.delivery import Delivery, DeliveryStatus
from pgvigil.model.incident import Incident, State
from pgvigil.model.silence import Silence
from pgvigil.model.together import Together
from pgvigil.store import Store
from pgvigil.text import one_line
from pgvigil.units import format_duration

_WAITS = {
    DeliveryStatus.DUE: "waits to be sent",
    DeliveryStatus.SENDING: "is being sent",
    DeliveryStatus.AMBIGUOUS: "may have arrived: it is looked for before it is sent again",
    DeliveryStatus.PARKED: "waits for its set-up to be mended",
    DeliveryStatus.LEFT: "the sink is no longer configured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """`deliveries` are those of the incident; `parent` is the incident that it is part of,
    `silence` what keeps it quiet.
    """

    settings: Settings
    incident: Incident
    parent: Incident | None
    silence: Silence | None
    deliveries: Sequence[Delivery]
    now: datetime

    def lines(self) -> Iterator[str]:
        """For people."""
        item = self.incident
        yield f"{item.name} {item.rule} on {_place(item)}: {item.state}, {item.severity.word}"
        yield f"  {one_line(item.summary)}"
        for title, lines in self.sections():
            yield from ("", title)
            yield from (f"  {line}" for line in lines)

    def sections(self) -> Iterator[tuple[str, Sequence[str]]]:
        """The links of the chain, each with its title."""
        yield "Rule", [*self._rule()]
        yield "Since when", [*self._times()]
        yield "Marks", self._marks() or ["none"]
        yield "Routes, as they are configured now", [*self._routes()]
        yield "Deliveries", [*self._delivered()]

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        item = self.incident
        return {
            "id": item.name,
            "state": item.state.value,
            "severity": item.severity.word,
            "peak_severity": item.peak.word,
            "rule": item.rule,
            "value": item.value,
            "peak_value": item.peak_value,
            "limits": self._limits(),
            "why": [*self._marks(), *self._unheard()],
            "routes": [
                step_object(place, step, item, self.now) for place, step in enumerate(self._path(), 1)
            ],
            "recipients": [one._asdict() for one in self._recipients()],
            "deliveries": [self._delivery(row) for row in self.deliveries],
        }

    # --- what was judged --------------------------------------------------------------------------------

    def _limits(self) -> Mapping[str, Any] | None:
        """The rule's parameters at that target; None when no such rule judges it now."""
        if self.incident.target == OWN:
            bound: BoundRule | None = sink_failing(self.settings.daemon.sink_failing_after_s)
        else:
            bound = self.settings.rules.get(self.incident.target, {}).get(self.incident.rule)
        return None if bound is None else bound.params.model_dump(mode="json", by_alias=True)

    def _rule(self) -> Iterator[str]:
        item, limits = self.incident, self._limits()
        now, peak = magnitude(item.rule, item.value), peak_of(item)
        if now:
            yield f"value {now}, at worst {peak}" if peak and peak != now else f"value {now}"
        yield f"severity {item.severity.word}, at worst {item.peak.word}"
        if limits is None:
            yield "no such rule judges this target any more"
            return
        given = [f"{key} {value}" for key, value in limits.items() if value is not None and key != "enabled"]
        yield f"limits at {item.target}: {', '.join(given)}"

    def _times(self) -> Iterator[str]:
        item = self.incident
        yield f"true since {stamp(item.pending_since)}, last seen {stamp(item.last_true_at)}"
        if item.fired_at is not None:
            yield f"fired {stamp(item.fired_at)}" + (f", reopened {item.reopened}x" if item.reopened else "")
        if item.state in (State.UNKNOWN, State.RESOLVED):
            why = f": {one_line(item.reason)}" if item.reason else ""
            yield f"{item.state} {stamp(item.state_since)}{why}"

    # --- why nobody, or who -----------------------------------------------------------------------------

    def _marks(self) -> list[str]:
        item, found = self.incident, []
        if item.acknowledged_by:
            level = "" if item.acknowledged_level is None else f", when it was {item.acknowledged_level.word}"
            at = "" if item.acknowledged_at is None else f" {stamp(item.acknowledged_at)}"
            found.append(f"acknowledged by {one_line(item.acknowledged_by)}{at}{level}")
        if item.suppressed_by:
            of = "" if self.parent is None else f": {one_line(self.parent.summary)}"
            found.append(f"part of {item.suppressed_by}, {self._as_part()}{of}")
        if item.silenced_by:
            found.append(f"silenced by {one_line(item.silenced_by)}{_of(self.silence)}")
        return found

    def _as_part(self) -> str:
        """What makes it a part, where the configuration or the time does and not what is known of the server."""
        item, parent, relations = self.incident, self.parent, self.settings.relations
        if relations.holds(parent, item):
            return "which keeps it quiet while it fires ([[inhibitions]]), whoever hears of that"
        group = relations.grouping(item)
        if parent is not None and group is not None and group is relations.grouping(parent):
            return f"which is told instead, of the group {group.together.name}"
        ours, its = self._together(item), None if parent is None else self._together(parent)
        if ours is not None and ours == its:
            return f"which is told instead, since they began together (a {ours.name})"
        return "which is told instead"

    def _together(self, incident: Incident) -> Together | None:
        bound = self.settings.rules.get(incident.target, {}).get(incident.rule)
        return None if bound is None else bound.rule.together

    def _unheard(self) -> list[str]:
        """Why there is nothing to deliver."""
        item = self.incident
        if item.fired_at is None:
            waits = (self._limits() or {}).get("for")
            held = format_duration(max((item.last_true_at - item.pending_since).total_seconds(), 0.0))
            return [f"it has not fired: it held for {held}" + (f" of {waits}" if waits else "")]
        if not self.deliveries and not self._recipients():
            return ["no route leads to a sink for it: it is on the page, in the API and in this list"]
        return []

    def _path(self) -> tuple[Step, ...]:
        return path(self.incident, self.settings.routes)

    def _recipients(self) -> Sequence[Recipient]:
        route = Router(self.settings.routes, tuple(self.settings.sinks), lambda _problem: None)
        if self.incident.target == OWN:
            return others(route, lambda: self.settings.sinks)(self.incident)
        return route(self.incident)

    def _routes(self) -> Iterator[str]:
        steps, recipients = self._path(), self._recipients()
        yield from path_lines(steps, recipients, self.incident, self.now)
        if not recipients and not steps:
            yield "there are no routes, and no sink"

    def _delivered(self) -> Iterator[str]:
        yield from self._unheard()
        told = {row.sink: row for row in self.deliveries}
        for row in self.deliveries:
            yield f"{row.sink}: {self._became(row)}"
        if self.incident.fired_at is not None:
            for sink in (one.sink for one in self._recipients() if one.sink not in told):
                yield f"{sink}: was not asked to tell it; the routes may have changed since"

    def _became(self, row: Delivery) -> str:
        parts = [self._shows(row)]
        if row.why:
            parts.append(one_line(row.why[:1].lower() + row.why[1:], 200))
        if row.status is not DeliveryStatus.SETTLED:
            parts.append(f"version {row.want_version} {_WAITS[row.status]}")
        if row.attempts:
            parts.append(f"{row.attempts} failed attempt{'s' * (row.attempts != 1)}")
        if row.not_before is not None and row.not_before > self.now:
            parts.append(f"next at {stamp(row.not_before)}")
        if row.last_error:
            parts.append(f"last error: {one_line(row.last_error, 300)}")
        return "; ".join(parts)

    def _shows(self, row: Delivery) -> str:
        if row.seen_state is not None:
            level = "" if row.seen_level is None else f", {row.seen_level.word}"
            shown = (
                f"people saw {row.seen_state}{level} (version {row.seen_version} of {self.incident.version})"
            )
            within = ", in one message with many others" if row.thread and not row.remote else ""
            return shown + within + (f", calling {one_line(row.mention, 80)}" if row.mention else "")
        if row.thread:
            return "a digest told it"
        return f"nothing was posted{self._withheld(row)}"

    def _withheld(self, row: Delivery) -> str:
        item = self.incident
        until = muted_until(item, row.sink, self.settings.routes, self.now)
        if acts(item, row, can_edit=True, can_reply=True, muted=until is not None):
            return " yet"
        if item.suppressed_by or item.silenced_by:
            return ": " + " and ".join(
                words
                for words, by in (
                    (f"it is part of {item.suppressed_by}", item.suppressed_by),
                    (f"{item.silenced_by} silences it", item.silenced_by),
                )
                if by
            )
        if until is not None and item.open:
            return f": its routes mute {row.sink} until {stamp(until)}"
        if item.state is State.RESOLVED:
            return f": it was over before it could be told, and was never worse than {item.peak.word}"
        return ": it is not firing" if item.state is State.PENDING else ""

    def _delivery(self, row: Delivery) -> dict[str, Any]:
        return {
            "sink": row.sink,
            "status": row.status.value,
            "wanted_version": row.want_version,
            "seen_version": row.seen_version,
            "seen_state": row.seen_state,
            "seen_severity": None if row.seen_level is None else row.seen_level.word,
            "mention": row.mention,
            "attempts": row.attempts,
            "not_before": stamp(row.not_before),
            "last_error": row.last_error,
            "meaning": self._became(row),
        }


def chain_of(store: Store, settings: Settings, item: Incident, now: datetime) -> Chain:
    """What the store knows of it. Raises StoreError."""
    return Chain(
        settings=settings,
        incident=item,
        parent=None if item.parent_id is None else store.incidents.get(item.parent_id),
        silence=next((one for one in store.silences.list() if one.name == item.silenced_by), None),
        deliveries=store.deliveries.of_incident(item.id),
        now=now,
    )


def _of(silence: Silence | None) -> str:
    if silence is None:
        return ""
    return f", by {silence.author} until {stamp(silence.ends_at)}: {one_line(silence.reason)}"


def _place(item: Incident) -> str:
    return item.target if item.database is None else f"{one_line(item.database, 63)} @ {item.target}"
