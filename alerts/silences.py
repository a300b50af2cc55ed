"""Silences that cannot hurt: each has an author, a reason and an end, and none hides for long what is critical."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Protocol

from alerts.routes import fits, named
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.model.silence import Silence, episode
from pgvigil.store.errors import StoreError
from pgvigil.units import format_duration

LONGEST_S = 7 * 86_400.0
LONGEST_CRITICAL_S = 86_400.0  # of what could hide an incident that nobody has seen yet, and that is critical
MOST_ACTIVE = 200
_NAMED = re.compile(r"INC-[0-9]+")


class SilenceStore(Protocol):
    """Every method raises StoreError."""

    def list(self) -> Sequence[Silence]: ...
    def add(self, silence: Silence) -> Silence: ...
    def expire(self, silence_id: int, by: str, at: datetime) -> None: ...
    def release(self, silence_id: int) -> None: ...
    def matched(self, silence_id: int, at: datetime) -> None: ...


class SilenceRefusedError(Exception):
    """It would hide too much, or for too long. Says what is allowed."""


@dataclass(frozen=True, slots=True)
class Added:
    """The silence, and the open incidents that it keeps quiet now."""

    silence: Silence
    hides: tuple[Incident, ...]


class Silences:
    """Those that are there, in memory and in the store. Thread-safe; asking never waits for the store."""

    def __init__(self, store: SilenceStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._all: tuple[Silence, ...] = tuple(store.list())

    @property
    def all(self) -> tuple[Silence, ...]:
        """The newest first."""
        return self._all

    def named(self, name: str | None) -> Silence | None:
        """The silence `SIL-3`."""
        return next((one for one in self._all if one.name == name), None)

    def covering(self, incident: Incident, now: datetime) -> Silence | None:
        """The oldest silence that keeps the incident quiet at `now`."""
        return next((one for one in reversed(self._all) if one.active(now) and covers(one, incident)), None)

    def add(
        self,
        silence: Silence,
        open_incidents: Callable[[], Iterable[Incident]],
        *,
        dry_run: bool = False,
    ) -> Added:
        """Keep it, or with `dry_run` only say what it would hide. Raises SilenceRefusedError, StoreError."""
        refuse(silence)
        with self._lock:
            if sum(one.active(silence.created_at) for one in self._all) >= MOST_ACTIVE:
                raise SilenceRefusedError(f"there are {MOST_ACTIVE} silences already: expire some")
            fired = [one for one in open_incidents() if one.state in (State.FIRING, State.UNKNOWN)]
            hides = tuple(one for one in fired if covers(replace(silence, until_resolved=False), one))
            if silence.until_resolved:
                if not hides:
                    raise SilenceRefusedError("nothing that fires matches, so there is no end to wait for")
                silence = replace(silence, episodes=frozenset(map(episode, hides)))
            if not dry_run:
                silence = self._store.add(silence)
                self._all = (silence, *self._all)
            return Added(silence, hides)

    def expire(self, silence_id: int, by: str, now: datetime) -> Silence | None:
        """End it now; None when there is none of that number. One that is over stays as it is. Raises StoreError."""
        with self._lock:
            return self._expired(silence_id, by, now)

    def release(self, silence_id: int, by: str, now: datetime) -> None:
        """The mark that it holds for is no more: it ends, if it has not. Raises StoreError."""
        with self._lock:
            found = self._expired(silence_id, by, now)
            if found is not None:
                self._store.release(silence_id)
                self._replaced(replace(found, mark=None))

    def _expired(self, silence_id: int, by: str, now: datetime) -> Silence | None:
        found = next((one for one in self._all if one.id == silence_id), None)
        if found is None or not found.active(now):
            return found
        self._store.expire(silence_id, by, now)
        return self._replaced(replace(found, expired_by=by, expired_at=now))

    def committed(self, transitions: Iterable[Transition]) -> None:
        """Note which silences have kept something quiet. What cannot be written now is with the next one."""
        marks = {
            one.after.silenced_by: one.after.evaluated_at for one in transitions if one.after.silenced_by
        }
        for silence in self._all:
            if silence.matched_at is None and silence.name in marks:
                with self._lock, contextlib.suppress(StoreError):
                    self._store.matched(silence.id, marks[silence.name])
                    self._replaced(replace(silence, matched_at=marks[silence.name]))

    def _replaced(self, silence: Silence) -> Silence:
        self._all = tuple(silence if one.id == silence.id else one for one in self._all)
        return silence


def covers(silence: Silence, incident: Incident) -> bool:
    """Whether it is about the incident, whatever the time."""
    if silence.until_resolved and episode(incident) not in silence.episodes:
        return False
    if silence.worst is not None and incident.severity > silence.worst:
        return False
    return fits(silence.match, named(incident))


def refuse(silence: Silence) -> None:
    """Raises SilenceRefusedError for one that could hurt."""
    if not silence.match:
        raise SilenceRefusedError("match: name at least one key, such as rule or target")
    if not silence.reason:
        raise SilenceRefusedError("reason: say why, for those who look for the alarm")
    lasts_s = (silence.ends_at - silence.created_at).total_seconds()
    most_s = longest_s(silence)
    if not 0 < lasts_s <= most_s:
        why = ", because it could hide what is critical; name the incident, or a lower severity" * (
            most_s < LONGEST_S
        )
        raise SilenceRefusedError(f"for: more than 0s and at most {format_duration(most_s)}{why}")


def longest_s(silence: Silence) -> float:
    """How long it may hold, by what it could hide."""
    return LONGEST_CRITICAL_S if _may_hide_critical(silence) else LONGEST_S


def _may_hide_critical(silence: Silence) -> bool:
    if silence.until_resolved or (silence.worst is not None and silence.worst < Level.CRITICAL):
        return False
    named = [pattern for key, pattern in silence.match if key == "incident"]
    if named and all(map(_NAMED.fullmatch, named)):
        return False
    severities = [pattern for key, pattern in silence.match if key == "severity"]
    return not severities or any(fnmatchcase("critical", pattern) for pattern in severities)
