"""Reading a systemd unit, as far as tests ask."""

from collections import defaultdict
from pathlib import Path

from tests.support.daemons import ROOT

UNIT = ROOT / "deploy" / "systemd" / "pgvigil.service"


def service(unit: Path = UNIT) -> dict[str, list[str]]:
    """The values of each key of [Service], in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found
