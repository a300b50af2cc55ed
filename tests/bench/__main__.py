"""All promises in one table. Exits with 1 when one does not hold.

python -m tests.bench [NAME ...]      NAME: start, delivery, soak, target, statements, detection, page, cost; fleet takes a quarter of an hour;
                                      alertmanager needs one of those installed
"""

import importlib
import sys
import time
from collections.abc import Callable

from tests.bench.figures import Figure, hold, machine

BENCHES = ("start", "delivery", "soak", "target", "statements", "detection", "page", "cost")


def main() -> int:
    found: list[Figure] = []
    print(machine(), flush=True)
    for name in sys.argv[1:] or BENCHES:
        began = time.monotonic()
        print(f"\n== {name}", flush=True)
        figures: Callable[[], list[Figure]] = importlib.import_module(f"tests.bench.bench_{name}").figures
        found += figures()
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
    return hold(found)


if __name__ == "__main__":
    sys.exit(main())
