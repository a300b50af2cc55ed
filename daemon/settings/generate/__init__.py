"""Writes config.example.toml, docs/reference and deploy/grants.sql from the settings model, the registry and the source."""

from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.settings.generate import example, reference, scanned
from daemon.settings.plugins import Plugins
from pgvigil.sql.grants import Tier, script

REFERENCE = "docs/reference"


def pages(root: Path) -> dict[str, str]:
    """Every generated file of the source tree at `root`: its path there, and what must stand in it."""
    plugins = Plugins.installed()
    makers: Mapping[str, Callable[[], str]] = {
        "config.example.toml": lambda: example.text(plugins),
        "deploy/grants.sql": lambda: script(Tier.WATCH, "pgvigil"),
        f"{REFERENCE}/collectors.md": lambda: reference.collectors(plugins),
        f"{REFERENCE}/configuration.md": lambda: reference.configuration(plugins),
        f"{REFERENCE}/metrics.md": lambda: scanned.metrics(root, plugins.collectors),
        f"{REFERENCE}/problems.md": lambda: scanned.problems(root),
        f"{REFERENCE}/rules.md": lambda: reference.rules(plugins),
        f"{REFERENCE}/sinks.md": lambda: reference.sinks(plugins),
    }
    return {path: make() for path, make in makers.items()}


def stale(root: Path) -> list[str]:
    """The generated files that are missing or differ from what they should be."""
    return [path for path, text in pages(root).items() if _current(root / path) != text]


def write(root: Path) -> list[str]:
    """Writes the files that are stale, and names them."""
    written = []
    for path, text in pages(root).items():
        if _current(root / path) != text:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _current(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
