"""Writes config.example.toml, docs/reference and deploy/grants.sql from the settings model, the registry and the source."""

from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.settings.generate import example, plugin_pages, reference, scanned
from daemon.settings.plugins import Plugins
from pgvigil.sql.grants import Tier, script
from queries.plans.issue import kinds

REFERENCE = "docs/reference"


def pages(root: Path) -> dict[str, str]:
    """Every generated file of the source tree at `root`: its path there, and what must stand in it."""
    plugins = Plugins.installed()
    makers: Mapping[str, Callable[[], str]] = {
        "config.example.toml": lambda: example.text(plugins),
        "deploy/grants.sql": lambda: script(Tier.WATCH, "pgvigil"),
        f"{REFERENCE}/configuration.md": lambda: reference.configuration(plugins),
        f"{REFERENCE}/metrics.md": lambda: scanned.metrics(root, plugins.collectors),
        f"{REFERENCE}/plan-issues.md": lambda: reference.plan_issues(kinds()),
        f"{REFERENCE}/problems.md": lambda: scanned.problems(root),
        f"{REFERENCE}/sinks.md": lambda: reference.sinks(plugins),
    }
    of_plugins = {f"{REFERENCE}/{path}": text for path, text in plugin_pages.pages(plugins, root)}
    return {path: make() for path, make in makers.items()} | of_plugins


def stale(root: Path) -> list[str]:
    """The generated files that are missing or differ from what they should be, and those of what is no more."""
    made = pages(root)
    return [path for path, text in made.items() if _current(root / path) != text] + _left_over(root, made)


def write(root: Path) -> list[str]:
    """Writes the files that are stale, removes those of what is no more, and names both."""
    made = pages(root)
    gone = _left_over(root, made)
    for path in gone:
        (root / path).unlink()
    written = []
    for path, text in made.items():
        if _current(root / path) != text:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
            written.append(path)
    return gone + written


def _left_over(root: Path, made: Mapping[str, str]) -> list[str]:
    """Pages of rules and collectors that were removed or renamed."""
    folders = (root / REFERENCE / "rules", root / REFERENCE / "collectors")
    found = (path.relative_to(root).as_posix() for folder in folders for path in sorted(folder.glob("*.md")))
    return [path for path in found if path not in made]


def _current(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
