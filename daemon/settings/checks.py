"""Checks that look at more than one key."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from alerts.routes import Route
from alerts.sink_failing import NAME as SINK_FAILING
from alerts.sink_failing import OWN
from daemon.settings.errors import Origin, Report, nearest
from daemon.settings.locate import KeyPath
from daemon.settings.rulebook import RuleBook
from daemon.settings.sections import CollectorSettings, DaemonSettings, TargetSettings
from pgvigil.problems import Problem


def files_are_readable(value: Any, path: KeyPath, report: Report) -> None:
    """Every `..._file` of the document can be read by whoever runs this."""
    if isinstance(value, dict):
        for key, inner in value.items():
            files_are_readable(inner, (*path, key), report)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            files_are_readable(inner, (*path, index), report)
    elif isinstance(value, str) and value and path and str(path[-1]).endswith("_file"):
        _file_is_readable(Path(value), path, report)


def _file_is_readable(file: Path, path: KeyPath, report: Report) -> None:
    try:
        with file.open("rb") as opened:
            empty = not opened.read(1)
    except OSError as error:
        report.add(path, f"cannot be read: {error.strerror}", value=str(file))
        return
    if empty:
        report.add(path, "is empty", value=str(file))


def names_are_unique(document: Mapping[str, Any], report: Report) -> None:
    """No two targets share a name: it is their identity in the store and in metrics. Nor do two tokens, or a hash, two people, two windows or two groups."""
    _are_unique(document, "targets", "name", "is already the name of another target", report)
    _are_unique(document, "tokens", "name", "is already the name of another token", report)
    _are_unique(document, "tokens", "sha256", "is already the hash of another token", report)
    _are_unique(document, "people", "name", "is already the name of somebody else", report)
    _are_unique(document, "maintenance", "name", "is already the name of another window", report)
    _are_unique(document, "groups", "name", "is already the name of another group", report)


def _are_unique(document: Mapping[str, Any], tables: str, key: str, problem: str, report: Report) -> None:
    first: dict[str, Origin] = {}
    for path, name in _each(document, tables, key):
        if isinstance(name, str) and name in first:
            report.add(path, problem, value=name, hint=f"see {first[name]}")
        else:
            first[name] = report.origin(path)


def routes_lead_to_sinks(document: Mapping[str, Any], report: Report) -> None:
    """Every sink that a route names is configured."""
    sinks = document.get("sinks")
    known = tuple(sinks) if isinstance(sinks, dict) else ()
    for path, name in _sinks_named(document):
        if name not in known:
            report.add(path, "no such sink", value=name, hint=nearest(name, known))


def _sinks_named(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Every sink that a route names, and where; a key that takes a list may have one name alone, but `sinks`."""
    for key in ("sinks", "fallback", "escalate_to"):
        for path, names in _each(document, "routes", key):
            if isinstance(names, list):
                yield from (((*path, index), name) for index, name in enumerate(names))
            elif key != "sinks" and isinstance(names, str):
                yield path, names


def _each(document: Mapping[str, Any], tables: str, key: str) -> Iterator[tuple[KeyPath, Any]]:
    items = document.get(tables)
    for index, table in enumerate(items if isinstance(items, list) else ()):
        if isinstance(table, dict) and key in table:
            yield (tables, index, key), table[key]


def listens_safely(daemon: DaemonSettings, report: Report) -> None:
    """Whoever can connect can read queries: beyond this machine that needs a token."""
    if not daemon.listen.loopback and daemon.api_token_file is None:
        report.add(
            ("daemon", "listen"),
            "listens beyond this machine without authentication",
            value=str(daemon.listen),
            hint='set api_token_file in [daemon], or listen on "127.0.0.1:9642" behind a proxy',
        )


def problems(
    targets: tuple[TargetSettings, ...],
    sinks: Mapping[str, Any],
    routes: tuple[Route, ...],
    collectors: Mapping[str, CollectorSettings],
    rules: RuleBook,
    report: Report,
) -> Iterator[Problem]:
    """What people should change although pgvigil can run."""
    if not any(target.enabled for target in targets):
        yield Problem(
            slug="no-targets",
            sentence="No target is configured and enabled, so nothing is watched.",
            fix="Add a [[targets]] section with name and dsn.",
        )
    if not sinks:
        yield Problem(
            slug="no-sinks",
            sentence="No sink is configured, so nobody is told of incidents.",
            fix="Add a [sinks.NAME] section; `pgvigil config example` shows the kinds.",
        )
    if sinks and routes and all(route.match for route in routes):
        yield Problem(
            slug="no-catch-all-route",
            sentence="An incident can match no route; it then goes to every sink.",
            fix="End the routes with one without `match`.",
        )
    yield from _idle_sinks(sinks, routes)
    yield from _idle_routes(targets, routes, rules, report)
    yield from _unread_rules(targets, collectors, rules)
    for path in rules.idle_overrides(targets):
        yield Problem(
            slug="override-matches-nothing",
            sentence=f"The override {path[-1]!r} of {path[-3]} ({report.origin(path)}) matches no target.",
            fix="Write a target's name or a pattern of names, or label=pattern.",
        )


def _idle_sinks(sinks: Mapping[str, Any], routes: tuple[Route, ...]) -> Iterator[Problem]:
    """Sinks that hear of nothing, unless an incident should match no route at all."""
    led_to = {sink for route in routes for sink in (*route.sinks, *route.fallback, *route.escalate_to)}
    for name in sorted(sinks.keys() - led_to) if routes else ():
        yield Problem(
            slug="sink-without-route",
            sentence=f"No route leads to the sink {name}, so it is told of nothing.",
            why="As soon as there is one route, a sink hears only of what a route sends to it.",
            fix=f'Name "{name}" in the sinks of a [[routes]] section, or remove [sinks.{name}].',
        )


def _unread_rules(
    targets: tuple[TargetSettings, ...], collectors: Mapping[str, CollectorSettings], rules: RuleBook
) -> Iterator[Problem]:
    """Rules that are on and whose collectors are all off."""
    off = {name for name, section in collectors.items() if not section.enabled}
    blind: dict[tuple[str, ...], set[str]] = {}
    for target in (one for one in targets if one.enabled):
        for name, bound in rules.bind(target).items():
            watches = bound.rule.watches
            if watches and off.issuperset(watches):
                blind.setdefault(watches, set()).add(name)
    for watches, names in sorted(blind.items()):
        blind_rules, feeds = ", ".join(sorted(names)), " and ".join(watches)
        yield Problem(
            slug="rule-cannot-fire",
            sentence=f"{blind_rules} cannot fire: what is to be judged is switched off in the configuration"
            f" ({feeds}).",
            fix=f"Remove enabled = false from [collectors.{watches[0]}], or write it into the sections of these rules.",
        )


def _idle_routes(
    targets: tuple[TargetSettings, ...], routes: tuple[Route, ...], rules: RuleBook, report: Report
) -> Iterator[Problem]:
    """Routes that ask for what nothing can have: a slip of the pen there sends incidents elsewhere."""
    labels: dict[str, set[str]] = {}
    for target in targets:
        for label, value in target.labels.items():
            labels.setdefault(label, set()).add(value)
    possible = labels | {
        "severity": {"info", "warning", "critical"},
        "rule": {SINK_FAILING, *(name for target in targets for name in rules.bind(target))},
        "target": {OWN, *(target.name for target in targets)},
    }
    for index, route in enumerate(routes if targets else ()):
        for key, patterns in route.match.items():
            values = possible.get(key, set())
            if key == "database" or any(fnmatchcase(value, each) for value in values for each in patterns):
                continue
            where = report.origin(("routes", index, "match", key))
            close = (
                nearest(key, tuple(possible)) if key not in possible else nearest(patterns[0], tuple(values))
            )
            yield Problem(
                slug="route-matches-nothing",
                sentence=f"The route at {where} can match no incident: {key} is never {' or '.join(patterns)}.",
                fix=f"Correct the pattern or the key ({close or 'keys are severity, rule, target, database and labels'}).",
            )
