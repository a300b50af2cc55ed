"""From files and environment to `Settings`, with every error at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from alerts.relations import Relations
from daemon.settings import checks, environment, files
from daemon.settings.errors import Report, nearest
from daemon.settings.explain import check_name, table, validated
from daemon.settings.maintenance import MaintenanceSettings
from daemon.settings.plugins import Plugins, collector_section
from daemon.settings.relations import GroupSettings, InhibitSettings
from daemon.settings.routing import RouteSettings
from daemon.settings.rulebook import RuleBook
from daemon.settings.sections import (
    CollectorSettings,
    DaemonSettings,
    MetricsSettings,
    PersonSettings,
    RetentionSettings,
    TargetSettings,
    TokenSettings,
)
from daemon.settings.settings import BoundSink, Settings
from pgvigil.plugins import Collector, SinkKind

M = TypeVar("M", bound=BaseModel)

TOP_LEVEL = (
    "include",
    "daemon",
    "metrics",
    "retention",
    "targets",
    "collectors",
    "rules",
    "sinks",
    "routes",
    "tokens",
    "people",
    "maintenance",
    "groups",
    "inhibitions",
)
INDISPENSABLE = frozenset({"availability"})  # nothing else tells that a target answers again


def load(path: Path, environ: Mapping[str, str], plugins: Plugins | None = None) -> Settings:
    """The settings in `path`, its includes and `environ`.

    Raises ConfigErrors with every error at once. What people should change, but what does not keep pgvigil
    from starting, is in `Settings.problems`.
    """
    report = Report()
    document = files.read(path, report)
    whole = not report.has_errors
    environment.overlay(document, environ, report)
    return _settings(path, document, plugins or Plugins.installed(), report, whole=whole)


def _settings(
    path: Path, document: dict[str, Any], plugins: Plugins, report: Report, *, whole: bool
) -> Settings:
    for key in document.keys() - set(TOP_LEVEL):
        report.add((key,), "unknown key", hint=nearest(key, TOP_LEVEL))
    daemon = validated(DaemonSettings, document.get("daemon", {}), ("daemon",), report) or DaemonSettings()
    metrics = (
        validated(MetricsSettings, document.get("metrics", {}), ("metrics",), report) or MetricsSettings()
    )
    retention = (
        validated(RetentionSettings, document.get("retention", {}), ("retention",), report)
        or RetentionSettings()
    )
    targets = _list(TargetSettings, document, "targets", report)
    routes = tuple(section.route() for section in _list(RouteSettings, document, "routes", report))
    tokens = _list(TokenSettings, document, "tokens", report)
    people = tuple(section.person() for section in _list(PersonSettings, document, "people", report))
    maintenance = tuple(
        section.window() for section in _list(MaintenanceSettings, document, "maintenance", report)
    )
    relations = Relations(
        groupings=tuple(one.grouping() for one in _list(GroupSettings, document, "groups", report)),
        inhibitions=tuple(
            one.inhibition() for one in _list(InhibitSettings, document, "inhibitions", report)
        ),
    )
    collectors = _collectors(plugins.collectors, document.get("collectors", {}), report)
    sinks = _sinks(plugins.sinks, document.get("sinks", {}), report)
    rules = RuleBook(plugins.rules, document.get("rules", {}), report, plugins.collectors)
    enabled = tuple(target for target in targets if target.enabled)
    bound = {target.name: rules.bind(target) for target in enabled}
    checks.files_are_readable(document, (), report)
    checks.names_are_unique(document, report)
    if whole:  # what seems to be missing may stand in the file that could not be read
        checks.routes_lead_to_sinks(document, report)
    checks.listens_safely(daemon, report)
    report.raise_if_any()
    return Settings(
        file=path,
        daemon=daemon,
        metrics=metrics,
        retention=retention,
        targets=enabled,
        collectors=collectors,
        sinks=sinks,
        routes=routes,
        tokens=tokens,
        people=people,
        maintenance=maintenance,
        relations=relations,
        rules=bound,
        problems=tuple(checks.problems(targets, sinks, routes, collectors, rules, report)),
    )


def _list(model: type[M], document: dict[str, Any], key: str, report: Report) -> tuple[M, ...]:
    tables = document.get(key, [])
    if not isinstance(tables, list):
        report.add((key,), "must be a list of tables", hint=f"write [[{key}]]")
        return ()
    checked = (validated(model, item, (key, index), report) for index, item in enumerate(tables))
    return tuple(item for item in checked if item is not None)


def _collectors(
    known: Mapping[str, Collector[Any]], data: Any, report: Report
) -> dict[str, CollectorSettings]:
    tables = table(data, ("collectors",), report)
    for name in tables.keys() - known.keys():
        report.add(("collectors", name), "unknown collector", hint=nearest(name, tuple(known)))
    checked = {
        name: validated(collector_section(collector), tables.get(name, {}), ("collectors", name), report)
        for name, collector in known.items()
    }
    found = {name: section for name, section in checked.items() if section is not None}
    for name in INDISPENSABLE & found.keys():
        if not found[name].enabled:
            report.add(
                ("collectors", name, "enabled"), "cannot be switched off: it tells whether a target is up"
            )
    return found


def _sinks(known: Mapping[str, SinkKind], data: Any, report: Report) -> dict[str, BoundSink]:
    sinks = {}
    for name, section in table(data, ("sinks",), report).items():
        path = ("sinks", name)
        check_name(path, report)
        own = dict(table(section, path, report))
        kind = own.pop("kind", None)
        if not isinstance(kind, str):
            report.add(path, "needs a kind", hint=nearest("", tuple(known)))
        elif kind not in known:
            report.add((*path, "kind"), "unknown kind of sink", value=kind, hint=nearest(kind, tuple(known)))
        elif (params := validated(known[kind].params, own, path, report, also=("kind",))) is not None:
            sinks[name] = BoundSink(known[kind], params)
    return sinks
