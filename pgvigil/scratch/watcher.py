"""The watcher of `guard`, a program of its own: waits for the end of its input, then clears up.

Input: JSON lines `["+", directory]` and `["-", directory]`.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from pgvigil.scratch import tidy


def directories_left(lines: Iterable[str]) -> list[Path]:
    """Reads to the end of the input."""
    left: dict[str, None] = {}
    for line in lines:
        sign, directory = json.loads(line)
        if sign == "+":
            left[directory] = None
        else:
            left.pop(directory, None)
    return [Path(directory) for directory in left]


def main() -> None:
    for directory in directories_left(sys.stdin):
        tidy.clear(directory)


if __name__ == "__main__":
    main()
