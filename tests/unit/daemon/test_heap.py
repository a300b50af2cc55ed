"""The C library's memory, as it tells of it itself."""

import subprocess
import sys

import pytest

from daemon import heap
from tests.support.daemons import ROOT
from tests.support.reporting import not_run

WORK = """
import ctypes, threading
from daemon import heap
heap.share_one()
enough = threading.Barrier(8)
def work():
    held = [bytes(10_000 + n) for n in range(50)]
    enough.wait(10)
threads = [threading.Thread(target=work) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
ctypes.CDLL(None).malloc_stats()
"""


def test_threads_share_one_heap() -> None:
    """In a process of its own: what is chosen holds for good."""
    chosen = subprocess.run(
        [sys.executable, "-c", "from daemon import heap; print(heap.share_one())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    if chosen.stdout.strip() != "True":
        not_run("this C library has one heap anyway", mendable=False)
    ran = subprocess.run([sys.executable, "-c", WORK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in ran.stderr.splitlines() if line.startswith("Arena")] == ["Arena 0:"]


def test_cycles_are_looked_for_seldom_and_yet_found() -> None:
    """In a process of its own: what is left in cycles does not pile up."""
    program = """
import gc
from daemon import heap
heap.look_seldom()
left = []
gc.callbacks.append(lambda phase, info: left.append(info["collected"]) if phase == "stop" else None)
for _ in range(100_000):
    one = []
    one.append(one)
print(len(left), sum(left))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    looks, found = map(int, ran.stdout.split())
    assert (looks <= 15, found >= 80_000) == (True, True)


def test_a_c_library_without_the_choice_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    assert not heap.share_one()
