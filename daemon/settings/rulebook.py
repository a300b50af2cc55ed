"""The rules as configured: defaults, sections, overrides by target, instances of the threshold rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from alerts.bound import BoundRule
from daemon.settings.errors import Report, nearest
from daemon.settings.explain import check_name, table, validated
from daemon.settings.locate import KeyPath
from daemon.settings.sections import TargetSettings
from pgvigil.model.finding import Judgement
from pgvigil.plugins import Collector, Context, Rule, RuleParams

OVERRIDES = "overrides"
INSTANCES = "instances"
TEMPLATE = "threshold"  # the rule that is nothing by itself: each of its instances is one


@dataclass(slots=True)
class _Section:
    """One rule's section, split into its own keys and its overrides."""

    rule: Rule[Any]
    path: KeyPath
    own: dict[str, Any]
    overrides: dict[str, dict[str, Any]]
    known: dict[tuple[str, ...], RuleParams | None] = field(default_factory=dict)

    def check(self, report: Report) -> None:
        """The section alone, then each override over it."""
        self.known[()] = validated(self.rule.params, self.own, self.path, report, also=(OVERRIDES,))
        if self.known[()] is None:
            return
        for selector in self.overrides:
            self._bind((selector,), report)

    def params(self, target: TargetSettings, report: Report) -> RuleParams | None:
        selectors = tuple(selector for selector in self.overrides if target.selected_by(selector))
        if selectors not in self.known and self.known[()] is not None:
            self._bind(selectors, report)
        return self.known.get(selectors)

    def _bind(self, selectors: tuple[str, ...], report: Report) -> None:
        merged = dict(self.own)
        for selector in selectors:
            merged |= self.overrides[selector]
        path = (*self.path, OVERRIDES, selectors[-1])
        self.known[selectors] = validated(self.rule.params, merged, path, report)


class RuleBook:
    """Every rule's section of a document, checked."""

    def __init__(
        self,
        rules: Mapping[str, Rule[Any]],
        data: Any,
        report: Report,
        collectors: Mapping[str, Collector[Any]] = MappingProxyType({}),
    ) -> None:
        self._report = report
        self._collectors = collectors
        self._sections: list[_Section] = []
        tables = table(data, ("rules",), report)
        for name in tables.keys() - rules.keys():
            report.add(("rules", name), "unknown rule", hint=nearest(name, tuple(rules)))
        for name, rule in rules.items():
            if name == TEMPLATE:
                self._add_instances(rule, tables.get(name, {}))
            else:
                self._add(rule, ("rules", name), tables.get(name, {}))
        for section in self._sections:
            section.check(report)

    def _add_instances(self, rule: Rule[Any], data: Any) -> None:
        path = ("rules", rule.name)
        instances = table(data, path, self._report)
        for key in sorted(instances.keys() - {INSTANCES}):
            self._report.add((*path, key), "unknown key", hint=f"write [rules.{rule.name}.{INSTANCES}.NAME]")
        for name, section in table(instances.get(INSTANCES, {}), (*path, INSTANCES), self._report).items():
            check_name((*path, INSTANCES, name), self._report)
            self._add(rule, (*path, INSTANCES, name), section)

    def _add(self, rule: Rule[Any], path: KeyPath, data: Any) -> None:
        own = dict(table(data, path, self._report))
        above = (*path, OVERRIDES)
        overrides = {
            selector: table(section, (*above, selector), self._report)
            for selector, section in table(own.pop(OVERRIDES, {}), above, self._report).items()
        }
        self._sections.append(_Section(rule, path, own, overrides))

    def bind(self, target: TargetSettings) -> dict[str, BoundRule]:
        """The enabled rules for `target`, by name; an instance of the threshold rule is `threshold.NAME`.

        A rule is for targets of the kind that all of its feeds are read from.
        """
        bound = {}
        for section in self._sections:
            params = section.params(target, self._report)
            if params is not None and params.enabled:
                rule = instance_of(section.rule, section.path, params)
                feeds = (self._collectors[name] for name in rule.watches if name in self._collectors)
                if all(collector.fits(target.kind) for collector in feeds):
                    bound[rule.name] = BoundRule(rule, params)
        return bound

    def idle_overrides(self, targets: tuple[TargetSettings, ...]) -> list[KeyPath]:
        """The overrides that match none of `targets`."""
        return [
            (*section.path, OVERRIDES, selector)
            for section in self._sections
            for selector in section.overrides
            if not any(target.selected_by(selector) for target in targets)
        ]


def instance_of(rule: Rule[Any], path: KeyPath, params: Any) -> Rule[Any]:
    """`rule` itself, or the threshold rule under the name and on the feed of one of its instances."""
    if rule.name != TEMPLATE:
        return rule
    name = f"{TEMPLATE}.{path[-1]}"

    def evaluate(reading: Any, params: Any, context: Context) -> Judgement:
        judgement = rule.evaluate(reading, params, context)
        return replace(judgement, findings=tuple(replace(each, rule=name) for each in judgement.findings))

    return replace(rule, name=name, watches=(params.collector,), evaluate=evaluate)
