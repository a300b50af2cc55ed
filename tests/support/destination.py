"""A destination in memory that fails on demand, and a clock that moves when it is told to."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pgvigil.model.delivery import (
    Act,
    ActKind,
    CannotLookError,
    Delivery,
    DeliveryError,
    DeliveryFailure,
    Recalled,
)
from pgvigil.model.digest import Digest
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.problems import Problem
from tests.support.views import T0


class Clock:
    """Stands still between calls of `pass_time`; `set_wall` moves the wall clock alone."""

    def __init__(self) -> None:
        self.moment = Moment(T0, 1000.0)

    def __call__(self) -> Moment:
        return self.moment

    def pass_time(self, seconds: float) -> None:
        self.moment = Moment(self.moment.utc + timedelta(seconds=seconds), self.moment.mono_s + seconds)

    def set_wall(self, by: timedelta) -> None:
        self.moment = Moment(self.moment.utc + by, self.moment.mono_s)


@dataclass
class Message:
    """What people see. A root is edited; a reply stands under the root `under`."""

    ts: str
    key: str
    told: str | None
    version: int
    state: State
    level: Level
    under: str | None = None
    in_thread_of: str | None = None  # the digest's stamp, for a root that stands in its thread
    tells: dict[int, tuple[State, Level]] = field(default_factory=dict)  # what a digest says, by incident
    cut: dict[str, int] = field(default_factory=dict)  # how many of a section it left out
    marked: datetime | None = None
    deleted: bool = False
    subject: str | None = None  # of its incident
    before: tuple[State, Level] | None = None  # what an edit found to have been heard

    @property
    def incident(self) -> int:
        return int(self.key.split(":")[0])

    def heard(self) -> tuple[State, Level]:
        return self.before or (self.state, self.level)


def _told_by(digest: Digest) -> dict[int, tuple[State, Level]]:
    lines = [line.incident for section in digest.sections for line in section.lines]
    return {incident.id: (incident.state, incident.severity) for incident in lines}


@dataclass
class Destination:
    """A `Sink`. `faults` are taken one a call: a DeliveryFailure; "arrived" (it did, and no answer came);
    "lost" (it did not, and nobody can tell); "bug" and "bug after" (the sink throws); None (all is well).
    """

    can_edit: bool = True
    can_reply: bool = True
    can_look: bool = True
    digest_lines: int = 10
    messages: list[Message] = field(default_factory=list)
    faults: deque[DeliveryFailure | str | None] = field(default_factory=deque)
    look_faults: deque[DeliveryFailure | str | None] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    retry_after_s: float | None = None
    digests: list[Digest] = field(default_factory=list)

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, str]:
        self.calls.append(f"{act.kind} {act.told}" if act.told else str(act.kind))
        return self._call(lambda: self._do(act, incident, delivery, possible_duplicate_of))

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:
        self.calls.append("digest")
        return self._call(lambda: self._announce(digest, possible_duplicate_of))

    def retell(self, digest: Digest, remote: Mapping[str, str]) -> None:
        self.calls.append("digest edit")
        self._call(lambda: self._amend(digest, remote))

    def _amend(self, digest: Digest, remote: Mapping[str, str]) -> Mapping[str, str]:
        for message in self.messages:
            if message.ts == remote.get("ts") and not message.deleted:
                message.tells = _told_by(digest)
                message.cut = {section.title: section.more for section in digest.sections if section.more}
                self.digests.append(digest)
                return remote
        raise DeliveryError(DeliveryFailure.GONE, "message_not_found")

    def _call(self, do: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, DeliveryFailure):
            raise DeliveryError(fault, f"faked: {fault}", retry_after_s=self.retry_after_s)
        if fault == "bug":
            raise KeyError("ts")
        if fault == "lost":
            raise DeliveryError(DeliveryFailure.AMBIGUOUS, "no answer")
        handle = do()
        if fault == "arrived":
            raise DeliveryError(DeliveryFailure.AMBIGUOUS, "no answer")
        if fault == "bug after":
            raise KeyError("ts")
        return handle

    def _announce(self, digest: Digest, marked: datetime | None) -> Mapping[str, str]:
        ts = f"{len(self.messages) + 1}"
        lines = [line for section in digest.sections for line in section.lines]
        worst = max(line.incident.severity for line in lines)
        self.messages.append(
            Message(
                ts=ts,
                key=f"digest {digest.key}",
                told=None,
                version=0,
                state=State.FIRING,
                level=worst,
                tells=_told_by(digest),
                cut={section.title: section.more for section in digest.sections if section.more},
                marked=marked,
            )
        )
        self.digests.append(digest)
        return {"ts": ts}

    def _do(
        self, act: Act, incident: Incident, delivery: Delivery, marked: datetime | None
    ) -> Mapping[str, str]:
        root = None if act.kind is ActKind.POST else self._root(delivery)
        if act.kind is ActKind.EDIT:
            assert root is not None
            root.version, root.state, root.level = act.version, incident.state, incident.severity
            seen = delivery.seen_state, delivery.seen_level
            root.before = None if seen[0] is None or seen[1] is None else (seen[0], seen[1])
            return delivery.remote
        ts = f"{len(self.messages) + 1}"
        self.messages.append(
            Message(
                ts=ts,
                key=act.key,
                told=str(act.told) if act.told else None,
                version=act.version,
                state=incident.state,
                level=incident.severity,
                under=root.ts if root else None,
                in_thread_of=self._thread(delivery),
                marked=marked,
                subject=incident.subject,
            )
        )
        return delivery.remote if root else {"ts": ts}

    def _thread(self, delivery: Delivery) -> str | None:
        if not delivery.thread:
            return None
        ts = delivery.thread["ts"]
        if not any(message.ts == ts and not message.deleted for message in self.messages):
            raise DeliveryError(DeliveryFailure.GONE, "thread_not_found")
        return ts

    def _root(self, delivery: Delivery) -> Message:
        for message in self.messages:
            if message.ts == delivery.remote.get("ts") and not message.deleted:
                return message
        raise DeliveryError(DeliveryFailure.GONE, "message_not_found")

    def find(self, act: Act, incident: Incident, delivery: Delivery) -> Mapping[str, str] | None:
        found = self._found(act.key)
        return delivery.remote if found is not None and found.under else self._handle(found)

    def recall(self, act: Act, incident: Incident, delivery: Delivery) -> Recalled | None:
        self._look()
        ours = [
            message
            for message in self.messages
            if not message.deleted
            and message.subject == incident.subject
            and (message.incident == incident.id or message.incident > (act.lost_above or 0))
        ]
        known = delivery.remote.get("ts") or next(
            (each.ts for each in reversed(ours) if not each.under), None
        )
        told = [each for each in ours if known in (each.ts, each.under)]
        if known is None or not told:
            return None
        return Recalled({"ts": known}, *told[-1].heard())

    def find_digest(self, digest: Digest, told_at: datetime) -> Mapping[str, str] | None:
        return self._handle(self._found(f"digest {digest.key}"))

    def _handle(self, found: Message | None) -> Mapping[str, str] | None:
        return None if found is None else {"ts": found.ts}

    def _found(self, key: str) -> Message | None:
        self._look()
        for message in reversed(self.messages):
            if message.key == key and not message.deleted:
                return message
        return None

    def _look(self) -> None:
        self.calls.append("find")
        if not self.can_look:
            raise CannotLookError("no scope")
        fault = self.look_faults.popleft() if self.look_faults else None
        if isinstance(fault, DeliveryFailure):
            raise DeliveryError(fault, f"faked: {fault}", retry_after_s=self.retry_after_s)
        if fault == "bug":
            raise KeyError("messages")

    def check(self) -> tuple[Problem, ...]:
        return ()

    def close(self) -> None:
        """Nothing is open."""

    @property
    def roots(self) -> list[Message]:
        """Messages of incidents, in the channel or in a digest's thread."""
        return [
            message for message in self.messages if not (message.under or message.tells or message.deleted)
        ]

    @property
    def in_channel(self) -> list[str]:
        """What stands in the channel itself, by key."""
        return [each.key for each in self.messages if not (each.under or each.in_thread_of or each.deleted)]

    @property
    def replies(self) -> list[Message]:
        return [message for message in self.messages if message.under is not None]
