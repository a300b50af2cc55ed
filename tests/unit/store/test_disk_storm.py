"""A disk that fails at random moments, and a process that dies at random moments: the store is whole all the same."""

import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pgvigil.model.incident import Incident, State, Transition
from pgvigil.store import Store
from tests.support import disks
from tests.support.disks import fill
from tests.support.failing_store import WANT, assert_same, opened
from tests.support.polling import poll
from tests.support.views import incident

ROOT = Path(__file__).parents[3]


class Play:
    """Writers that open, change and resolve incidents, and know what the store promised them."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store = store
        self.chance = chance
        self.known: dict[int, Incident] = {}
        self.gone: set[int] = set()

    def step(self, name: str) -> None:
        still_open = [each for each in self.known.values() if each.state is not State.RESOLVED]
        if not still_open or self.chance.random() < 0.4:
            subject = f"{name} {len(self.known) + len(self.gone)}"
            self._commit("opened", None, incident(id=0, version=1, subject=subject, fired_at=None))
            return
        before = self.chance.choice(still_open)
        what = self.chance.choice(["worse", "resolved", "dropped"])
        if what == "worse":
            self._commit("worse", before, replace(before, version=before.version + 1))
        elif what == "resolved":
            after = replace(
                before, version=before.version + 1, state=State.RESOLVED, resolved_at=before.evaluated_at
            )
            self._commit("resolved", before, after)
        else:
            self.store.incidents.commit(
                [Transition("dropped", before, replace(before, state=State.RESOLVED))]
            )
            del self.known[before.id]
            self.gone.add(before.id)

    def _commit(self, kind: str, before: Incident | None, after: Incident) -> None:
        (kept,) = self.store.incidents.commit([Transition(kind, before, after)], WANT)
        assert kept.id not in self.gone, "an id was given twice"
        assert before is not None or kept.id not in self.known, "an id was given twice"
        self.known[kept.id] = kept


def faults(disk: Path, chance: random.Random, over: threading.Event) -> None:
    """The disk is full now and then, for moments."""
    while not over.wait(chance.uniform(0.0, 0.3)):
        ballast = fill(disk)
        over.wait(chance.uniform(0.0, 0.5))
        ballast.unlink()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_disk_does_nothing_is_lost_or_doubled(seed: int) -> None:
    """Three writers at once, while the disk fills and empties; then the file has what each was promised."""
    over = threading.Event()
    with disks.small_disk(size_mb=16) as disk, opened(disk / "pgvigil.db") as store:
        plays = [Play(store, random.Random(seed * 10 + number)) for number in range(3)]
        failing = threading.Thread(target=faults, args=(disk, random.Random(seed), over))

        def act(play: Play, name: str) -> None:
            for _ in range(100):
                play.step(name)

        writers = [
            threading.Thread(target=act, args=(play, str(number))) for number, play in enumerate(plays)
        ]
        for thread in (failing, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        over.set()
        failing.join()
        poll(lambda: store.writable, 20)
        assert_same(store)
        kept = {each.id: each for each in store.incidents.list(limit=None)}
        promised = {number: each for play in plays for number, each in play.known.items()}
        assert kept == promised
        assert sum(len(play.known) for play in plays) == len(promised)


CATCHING_UP = """
import sys, time
from pathlib import Path
from pgvigil.store import Store
from pgvigil.store.failover import DiskLimits
from tests.support.failing_store import WANT, small

limits = DiskLimits(write_s=0.3, probe_every_s=0.02, again_s=0.01)
store = Store.open("sqlite:///" + sys.argv[1], limits=limits, on_turn=lambda turn: print(turn.now is None, flush=True))
number = len(store.incidents.list(limit=None))
while True:
    store.incidents.commit([small(f"{number} {index}") for index in range(20)])
    number += 1
    print(number, flush=True)
"""


def test_killed_while_it_catches_up_the_file_is_of_one_moment(small_disk: Path) -> None:
    """Each commit makes twenty: whenever it dies, the file has whole commits, and opens."""
    path, chance = small_disk / "pgvigil.db", random.Random(20261123)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", CATCHING_UP, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            ballast = fill(small_disk)
            time.sleep(0.2)  # not waiting for a state: choosing a moment
            ballast.unlink()
            time.sleep(chance.uniform(0.0, 0.1))
            child.kill()
        with closing(sqlite3.connect(path)) as plain:
            (count,) = plain.execute("SELECT count(*) FROM incident").fetchone()
            assert count % 20 == 0
            assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            plain.execute("DELETE FROM incident")
            plain.commit()
