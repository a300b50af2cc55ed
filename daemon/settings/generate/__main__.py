"""`python -m daemon.settings.generate [--check]`, in a source tree."""

import sys
from pathlib import Path

from daemon.settings.generate import stale, write

ROOT = Path(__file__).parents[3]


def main(arguments: list[str]) -> int:
    """Writes what is stale; with --check only names it, and returns 1 when there is any."""
    if arguments == ["--check"]:
        paths = stale(ROOT)
        sys.stderr.writelines(f"{path} is not current: run `make docs`\n" for path in paths)
        return 1 if paths else 0
    sys.stdout.writelines(f"wrote {path}\n" for path in write(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
