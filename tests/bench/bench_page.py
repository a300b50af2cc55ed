"""What a look at the page costs: 200 targets, most of them quiet, and a pile-up on each of 150.

python -m tests.bench.bench_page
"""

import gzip
import statistics
import sys
import time
from collections.abc import Callable

from daemon.board import TargetView
from tests.bench.figures import Figure, hold, machine
from tests.support import boards
from tests.support.web import World, serving

REPEATS = 9
SCENES: dict[str, Callable[[], tuple[TargetView, ...]]] = {
    "200 targets": boards.fleet,
    "150 pile-ups": boards.storm,
}


def _look(world: World) -> tuple[float, bytes]:
    """CPU time of one rendering and its answer, in ms, and the page; what was kept is too old each time."""
    world.publish()
    began = time.process_time()
    text = world.get("/")[1]
    return 1000 * (time.process_time() - began), text.encode()


def figures() -> list[Figure]:
    found = []
    for name, views in SCENES.items():
        with serving() as world:
            world.publish(*views())
            looks = [_look(world) for _ in range(REPEATS)]
        cost_ms = statistics.median(cost for cost, _ in looks)
        page = looks[-1][1]
        found += [
            Figure(f"/ with {name}: CPU of a look, both ends", cost_ms, 100, "ms"),
            Figure(f"/ with {name}: size", len(page) / 1000, unit="kB"),
            Figure(f"/ with {name}: size, packed", len(gzip.compress(page, 1)) / 1000, unit="kB"),
        ]
    return found


if __name__ == "__main__":
    print(machine())
    sys.exit(hold(figures()))
