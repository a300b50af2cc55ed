"""config.example.toml: every key, what it means, and its default."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from daemon.settings.describe import KeyDoc, brief, key_docs
from daemon.settings.generate.toml import key_text, sample, value_text
from daemon.settings.maintenance import MaintenanceSettings
from daemon.settings.plugins import Plugins, collector_section
from daemon.settings.relations import GroupSettings, InhibitSettings
from daemon.settings.routing import RouteSettings
from daemon.settings.rulebook import INSTANCES, TEMPLATE
from daemon.settings.sections import (
    DaemonSettings,
    MetricsSettings,
    PersonSettings,
    RetentionSettings,
    TargetSettings,
    TokenSettings,
)
from pgvigil.plugins import Rule, SinkKind

WIDTH = 110
COLUMN = 40  # where the meanings begin
LEVELS = ("clear", "warning", "critical")

HEAD = """\
# pgvigil's configuration. `pgvigil config check` reads it and reports every error with its line.
#
# "# ..." explains; "#key = value" is a key with its default: take the # away to change it.
# Durations have a unit ("500ms", "30s", "5m", "1h30m"), sizes too ("512kB", "10MB", powers of 1024).
# [daemon], [metrics] and [retention] can also be set by environment variables: PGVIGIL_DAEMON__LISTEN is listen of [daemon].

# More files, relative to this one: their lists are appended and their tables merged.
#include = ["targets.d/*.toml"]
"""
OVERRIDES = """\
# Every rule's section takes `enabled`, `for` (how long it must hold before it fires) and `keep_firing_for`
# (how long it must be gone before it resolves). For some targets, by a pattern of names or by a label:
#[rules.{name}.overrides."orders-*"]
#enabled = false
#[rules.{name}.overrides."env=test"]
#for = "10m"
"""


def text(plugins: Plugins) -> str:
    """The whole file. It is valid as it stands, and means the defaults and one target."""
    parts = [
        HEAD,
        section("daemon", DaemonSettings),
        section("metrics", MetricsSettings),
        section("retention", RetentionSettings),
        section("targets", TargetSettings, array=True),
        *(
            section(f"collectors.{name}", collector_section(collector), collector.summary)
            for name, collector in plugins.collectors.items()
        ),
        *_rules(plugins),
        *(_sink(kind) for kind in plugins.sinks.values()),
        _routes(plugins),
        commented(section("tokens", TokenSettings, array=True, live=False)),
        commented(section("people", PersonSettings, array=True, live=False)),
        commented(section("maintenance", MaintenanceSettings, array=True, live=False)),
        commented(section("groups", GroupSettings, array=True, live=False)),
        commented(section("inhibitions", InhibitSettings, array=True, live=False)),
    ]
    return "\n".join(parts)


def section(
    name: str,
    model: type[BaseModel],
    summary: str = "",
    *,
    array: bool = False,
    live: bool = True,
    values: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """One section: required keys live, all others commented out with their defaults, or with `values`."""
    lines = [*comment(summary or (model.__doc__ or "").partition("\n")[0])]
    lines.append(f"[[{name}]]" if array else f"[{name}]")
    return "\n".join([*lines, *keys(model, values, live=live)]) + "\n"


def keys(
    model: type[BaseModel], values: Mapping[str, Any] = MappingProxyType({}), *, live: bool = True
) -> Iterator[str]:
    """The keys of a section, each with its meaning beside it, or above it when that is long."""
    docs = key_docs(model)
    for doc in docs:
        shown = values.get(doc.key, _shown(doc, docs))
        line = f"{'' if doc.required and live else '#'}{key_text(doc.key)} = {value_text(shown)}"
        meaning = description(doc, shown)
        beside = f"{line:<{COLUMN}} # {meaning}"
        if len(line) <= COLUMN and len(beside) <= WIDTH:
            yield beside
        else:
            yield from comment(meaning)
            yield line


def _shown(doc: KeyDoc, docs: Sequence[KeyDoc]) -> Any:
    """The value that stands for a key; a level that is switched off shows the level beside it."""
    if doc.key in LEVELS and doc.default is None:
        return next(
            (each.default for each in docs if each.key in LEVELS and each.default is not None), sample(doc)
        )
    return sample(doc)


def description(doc: KeyDoc, shown: Any) -> str:
    """What a key means, its range or choices, and whether what is shown is not the default."""
    limits = brief(doc.schema)
    unset = "" if doc.required or doc.default == shown else " Not set by default."
    sentence = f"{doc.description.rstrip('.') or doc.key} ({limits})." if limits else doc.description
    return sentence + unset


def comment(sentence: str) -> list[str]:
    """`sentence` as comment lines."""
    return textwrap.wrap(sentence, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _rules(plugins: Plugins) -> Iterator[str]:
    names = [name for name in plugins.rules if name != TEMPLATE]
    for name in names:
        yield section(f"rules.{name}", plugins.rules[name].params, _first_sentence(plugins.rules[name]))
    if TEMPLATE in plugins.rules:
        rule = plugins.rules[TEMPLATE]
        written = section(
            f"rules.{TEMPLATE}.{INSTANCES}.NAME", rule.params, _first_sentence(rule), live=False
        )
        yield commented(written)
    if names:
        yield OVERRIDES.format(name=names[0])


def _first_sentence(rule: Rule[Any]) -> str:
    sentence, dot, _ = rule.doc.meaning.partition(". ")
    return sentence + "." if dot else sentence


def commented(lines: str) -> str:
    """A section that must not be live: its header commented out as well."""
    return "".join(line if line.startswith("#") else f"#{line}" for line in lines.splitlines(keepends=True))


def _sink(kind: SinkKind) -> str:
    head = [*comment(kind.summary), f"[sinks.{sink_name(kind)}]", f'kind = "{kind.name}"']
    written = "\n".join([*head, *keys(kind.params, live=_works_alone(kind))]) + "\n"
    return written if _works_alone(kind) else commented(written)


def sink_name(kind: SinkKind) -> str:
    return kind.name if _works_alone(kind) else f"my_{kind.name}"


def _works_alone(kind: SinkKind) -> bool:
    """Whether the kind needs nothing but its defaults, so that the example can use it."""
    try:
        kind.params()
    except ValidationError:
        return False
    return True


def _routes(plugins: Plugins) -> str:
    sinks = [sink_name(kind) for kind in plugins.sinks.values()]
    live = [sink_name(kind) for kind in plugins.sinks.values() if _works_alone(kind)]
    first = section("routes", RouteSettings, array=True, live=False, values={"sinks": sinks})
    last = [
        "# Without `match`, the last route takes everything else.",
        "[[routes]]",
        f"sinks = {value_text(live)}",
    ]
    end = "\n".join(last) + "\n"
    return commented(first) + "\n" + (end if live else commented(end))
