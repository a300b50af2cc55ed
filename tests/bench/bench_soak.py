"""A short soak: one cycle of staged faults against what Slack was told. The long one is `make soak`.

python -m tests.bench soak
"""

import sys

from tests.bench.figures import Figure, hold, machine
from tests.long import soak


def figures() -> list[Figure]:
    return soak.figures(cycles=1)


if __name__ == "__main__":
    print(machine())
    sys.exit(hold(figures()))
