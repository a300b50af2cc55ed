"""Random trouble: whatever fails in whatever order, in the end everybody has read the truth, once.

Incidents change at random while calls are refused, answered too late or never, messages are deleted, the store
fails and the process dies before, during and after calls. Then everything works again, and it is judged.
"""

import os
import random
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from pgvigil.model.delivery import Act, Delivery, DeliveryFailure, DeliveryStatus
from pgvigil.model.digest import Digest
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.store import Store, StoreError
from tests.support.destination import Destination, Message
from tests.support.outbox import Rig

SEEDS = range(int(os.environ.get("PGVIGIL_STORM_SEEDS", "5")))
ABLE = [(True, True, True), (True, True, False), (True, False, True), (False, False, False)]
LEVELS = [Level.INFO, Level.WARNING, Level.CRITICAL]


class ProcessDiesError(BaseException):
    """SIGKILL, as far as the program can tell."""


class Mortal(Destination):
    """A destination before and after whose calls the process may die."""

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Any:
        fault = self.faults[0] if self.faults else None
        if fault in ("dies before", "dies after"):
            self.faults.popleft()
        if fault == "dies before":
            raise ProcessDiesError
        handle = super().perform(act, incident, delivery, possible_duplicate_of=possible_duplicate_of)
        if fault == "dies after":
            raise ProcessDiesError
        return handle

    def retell(self, digest: Digest, remote: Any) -> None:
        fault = self.faults[0] if self.faults else None
        if fault in ("dies before", "dies after"):
            self.faults.popleft()
        if fault == "dies before":
            raise ProcessDiesError
        super().retell(digest, remote)
        if fault == "dies after":
            raise ProcessDiesError

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Any:
        fault = self.faults[0] if self.faults else None
        if fault in ("dies before", "dies after"):
            self.faults.popleft()
        if fault == "dies before":
            raise ProcessDiesError
        handle = super().tell(digest, possible_duplicate_of=possible_duplicate_of)
        if fault == "dies after":
            raise ProcessDiesError
        return handle


FAULTS = [
    DeliveryFailure.TRANSIENT,
    DeliveryFailure.RATE_LIMITED,
    DeliveryFailure.REJECTED,
    DeliveryFailure.MISCONFIGURED,
    "arrived",
    "lost",
    "bug",
    "bug after",
    "dies before",
    "dies after",
]


WRITES = [
    ("deliveries", "begin"),
    ("deliveries", "settle"),
    ("deliveries", "put_back"),
    ("deliveries", "release"),
    ("digests", "put"),
    ("digests", "finish"),
    ("digests", "interrupted"),
    ("digests", "add"),
    ("storms", "put"),
    ("storms", "end"),
]


class Storm:
    def __init__(self, store: Store, seed: int, able: tuple[bool, bool, bool]) -> None:
        self.random = random.Random(seed)
        can_edit, can_reply, can_look = able
        self.sink = Mortal(can_edit=can_edit, can_reply=can_reply, can_look=can_look)
        self.rig = Rig(
            store, self.sink, storm_at=3 if seed % 2 else 10
        )  # many things within a minute, or not
        self.incidents: dict[int, Incident] = {}
        self.deleted: Counter[int] = Counter()
        self.most = 4  # incidents

    def blow(self, steps: int, *, pauses: float = 0.0) -> None:
        """`pauses` is how likely the daemon is away before a step; much happens then before it says anything."""
        for _ in range(steps):
            if self.random.random() < pauses:
                self.rig.away(self.random.choice([600, 7200]))
                for _ in range(self.random.randrange(10)):
                    self.change()
            self.rig.settled = self.random.random() < 0.8
            self.change()
            if self.random.random() < 0.5:
                self.sink.faults.append(self.random.choice(FAULTS))
            if self.random.random() < 0.05:
                self.delete()
            self.run(self.random.choice([0, 0.5, 2, 10, 100]))

    def change(self) -> None:
        if len(self.incidents) < self.most and self.random.random() < 0.4:
            level = self.random.choice(LEVELS)
            now = self.rig.clock().utc
            fired = self.rig.commit(
                subject=str(len(self.incidents)), severity=level, peak=level, pending_since=now, fired_at=now
            )
        elif self.incidents:
            fired = self.rig.commit(
                before := self.random.choice(list(self.incidents.values())), **self.news(before)
            )
        else:
            return
        self.incidents[fired.id] = fired

    def news(self, before: Incident) -> dict[str, Any]:
        if before.state is State.RESOLVED:
            return {"state": State.FIRING, "reopened": before.reopened + 1}
        kind = self.random.choice(
            ["worse", "better", "unknown", "known", "resolved", "suppressed", "refreshed"]
        )
        level = self.random.choice(LEVELS)
        return {
            "worse": {"severity": level, "peak": max(level, before.peak)},
            "better": {"severity": Level.INFO},
            "unknown": {"state": State.UNKNOWN},
            "known": {"state": State.FIRING},
            "resolved": {"state": State.RESOLVED, "suppressed_by": None},
            "suppressed": {"suppressed_by": None if before.suppressed_by else "INC-99"},
            "refreshed": {"summary": f"version {before.version}"},
        }[kind]

    def delete(self) -> None:
        """A human deletes a message."""
        if self.sink.can_edit and self.sink.roots:
            root = self.random.choice(self.sink.roots)
            root.deleted = True
            self.deleted[incident_of(root)] += 1

    def run(self, seconds: float) -> None:
        with pytest.MonkeyPatch.context() as patch:
            self.break_store(patch)
            try:
                self.rig.run(seconds)
            except (ProcessDiesError, StoreError):
                self.rig.restart()

    def break_store(self, patch: pytest.MonkeyPatch) -> None:
        """Some write of this run fails: at `begin` the step fails, after a call the process dies waiting."""
        family, name = self.random.choice([*WRITES, *[("", "")] * len(WRITES)])
        if not name:
            return

        def fails(*_arguments: object, **_named: object) -> None:
            raise StoreError("disk full")

        def dies(_seconds: float) -> None:
            raise ProcessDiesError

        patch.setattr(type(getattr(self.rig.store, family)), name, fails)
        if self.random.random() < 0.5:
            patch.setattr(self.rig, "interrupt", dies)
        else:
            calm = iter([None] * 3)
            patch.setattr(self.rig, "interrupt", lambda _seconds: next(calm, None) or patch.undo())

    def calm(self) -> None:
        self.sink.faults.clear()
        self.rig.settled = True
        self.rig.restart()
        self.rig.run(7200)


def incident_of(message: Message) -> int:
    return int(message.key.split(":")[0])


@pytest.mark.parametrize("able", ABLE, ids=["slack", "no history", "no replies", "webhook"])
@pytest.mark.parametrize("pauses", [0.0, 0.2], ids=["", "pauses"])
@pytest.mark.parametrize("seed", SEEDS)
def test_after_any_storm_everybody_has_read_the_truth_once(
    store: Store, seed: int, pauses: float, able: tuple[bool, bool, bool]
) -> None:
    storm = Storm(store, seed, able)
    storm.sink.digest_lines = 10 if storm.sink.can_edit else 2
    storm.most = 10 if pauses else 4
    storm.blow(40, pauses=pauses)
    storm.calm()
    judge_digests(storm)
    for incident in storm.incidents.values():
        row = storm.rig.row(incident.id)
        assert (row.status, row.seen_version) == (DeliveryStatus.SETTLED, incident.version)
        mine = [message for message in storm.sink.messages if message.key.startswith(f"{incident.id}:")]
        judge_duplicates(storm, mine)
        judge_truth(storm, incident, mine)


def judge_digests(storm: Storm) -> None:
    assert store_is_done(storm), "a digest was never finished"
    digests = [message for message in storm.sink.messages if message.tells]
    unmarked = Counter(message.key for message in digests if message.marked is None)
    assert all(count == 1 for count in unmarked.values()), "the same digest twice, unmarked"
    if storm.sink.can_look and not storm.rig.said("sink_bug"):
        assert all(message.marked is None for message in digests), "marked though it could be looked for"


def store_is_done(storm: Storm) -> bool:
    store = storm.rig.store
    return store.digests.get("oncall") is None and store.storms.get("oncall") is None


def judge_duplicates(storm: Storm, mine: list[Message]) -> None:
    first_of_key = Counter(message.key for message in mine if message.marked is None and not message.deleted)
    assert all(count == 1 for count in first_of_key.values()), "the same act twice, unmarked"
    thrown = storm.rig.said("sink_bug")
    if storm.sink.can_look and not thrown:
        assert all(message.marked is None for message in mine), "marked though it could be looked for"
    if storm.sink.can_edit and storm.sink.can_reply:
        unmarked = [message for message in mine if message.under is None and message.marked is None]
        assert len(unmarked) <= 1 + storm.deleted[incident_of(mine[0])] if mine else True


def judge_truth(storm: Storm, incident: Incident, mine: list[Message]) -> None:
    roots = [message for message in mine if message.under is None]
    quiet = incident.suppressed_by is not None
    ended = incident.state is State.RESOLVED
    told = [
        message.tells.get(incident.id, (message.state, message.level))
        for message in storm.sink.messages
        if message in mine or incident.id in message.tells
    ]
    if not told:
        assert quiet or (ended and incident.peak < Level.CRITICAL), "nobody was told"
        return
    if storm.sink.can_edit and roots and not roots[-1].deleted:
        assert (roots[-1].state, roots[-1].level) == (incident.state, incident.severity)
    if storm.sink.can_edit and not storm.sink.can_reply:
        return
    last, level = told[-1]
    if ended:
        assert last is State.RESOLVED, "an end that was not heard"
    elif not quiet:
        assert last is not State.RESOLVED, "it fires again and nobody heard"
        assert level >= incident.severity, "it is worse and nobody heard"
