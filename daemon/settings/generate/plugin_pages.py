"""The reference pages of rules and collectors: a page for each, and one that lists them."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from alerts.company import described
from daemon.pacing import IDLE
from daemon.settings.describe import key_docs
from daemon.settings.generate.reference import GENERATED, key_table, names, table
from daemon.settings.generate.toml import value_text
from daemon.settings.plugins import Plugins
from daemon.settings.rulebook import INSTANCES, TEMPLATE
from pgvigil.model.kind import TargetKind
from pgvigil.plugins import Collector, LaneKind, Rule
from pgvigil.units import format_duration

FEED_OF_INSTANCE = "the readings of the collector that an instance names"
COSTS = "docs/reference/cost.json"


def pages(plugins: Plugins, root: Path) -> Iterator[tuple[str, str]]:
    """Path below docs/reference, and text."""
    yield "rules.md", rules(plugins)
    for rule in plugins.rules.values():
        yield f"rules/{rule.name}.md", GENERATED + rule_page(rule)
    yield "collectors.md", collectors(plugins)
    judges = _judges(plugins)
    for name, collector in plugins.collectors.items():
        cost = _costs(root / COSTS).get(name, {})
        yield f"collectors/{name}.md", GENERATED + collector_page(collector, judges.get(name, []), cost)


# --- rules ------------------------------------------------------------------------------------------------


def rules(plugins: Plugins) -> str:
    """docs/reference/rules.md"""
    rows = (
        (f"[`{name}`](rules/{name}.md)", levels(rule), first_sentence(rule.doc.meaning))
        for name, rule in plugins.rules.items()
    )
    return f"{GENERATED}# Rules\n\n{_RULES}\n\n" + table(("rule", "default", "what it says"), rows)


def levels(rule: Rule[Any]) -> str:
    """The defaults of the levels: `warning 5m, critical 30m`, or the severity."""
    wanted = ("warning", "critical", "clear", "severity", "for")
    found = {doc.key: doc.default for doc in key_docs(rule.params) if doc.key in wanted}
    shown = {key: found[key] for key in wanted if found.get(key) not in (None, "0s")}
    return ", ".join(
        f"{key} {each if isinstance(each, str) else value_text(each)}" for key, each in shown.items()
    )


def section_name(rule: Rule[Any]) -> str:
    """The rule's section of the configuration."""
    return f"rules.{rule.name}.{INSTANCES}.NAME" if rule.name == TEMPLATE else f"rules.{rule.name}"


def rule_page(rule: Rule[Any]) -> str:
    """One rule: what it means, how bad, how to look, what to do, how to silence it."""
    doc, section = rule.doc, section_name(rule)
    feeds = ", ".join(map(_feed, rule.watches))
    parts = [
        f"# {rule.name}\n\n{doc.meaning}",
        f"Judges {feeds or FEED_OF_INSTANCE}. "
        + (
            f"Magnitude: {doc.magnitude.rstrip('.')}."
            if doc.magnitude
            else "No magnitude: it has a severity."
        ),
        f"## How bad\n\nBy default: {levels(rule) or 'nothing until you set a limit'}.\n\n{doc.why_these_defaults}",
        f"## What the message shows\n\n{doc.evidence}",
        *((f"## How to look\n\n```sql\n{doc.how_to_look.strip()}\n```",) * bool(doc.how_to_look)),
        f"## What to do\n\n{doc.what_to_do}",
        f"## Configuration\n\nSection `[{section}]`:\n\n{key_table(rule.params)}".rstrip(),
        _silencing(section),
    ]
    if rule.absorbs:
        parts.insert(
            -2,
            f"## What it takes in\n\nWhat these say of the same things becomes evidence here: {names(rule.absorbs)}.",
        )
    if rule.together is not None:
        parts.insert(-2, f"## Told as one\n\n{described(rule.together)}. The worst of them leads the others.")
    return "\n\n".join(parts) + "\n"


def _feed(name: str) -> str:
    return "how fresh the readings are" if name == "freshness" else f"[`{name}`](../collectors/{name}.md)"


def _silencing(section: str) -> str:
    here = f"[{section}]\nenabled = false"
    there = (
        f'[{section}.overrides."orders-*"]   # for some targets; or "env=test", by a label\nenabled = false'
    )
    return f"## How to silence it\n\n```toml\n{here}\n\n{there}\n```"


def first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "."


# --- collectors -------------------------------------------------------------------------------------------


def collectors(plugins: Plugins) -> str:
    """docs/reference/collectors.md"""
    rows = (
        (
            f"[`{name}`](collectors/{name}.md)",
            format_duration(each.interval_s),
            each.lane.value,
            each.summary,
        )
        for name, each in plugins.collectors.items()
    )
    head = f"{GENERATED}# Collectors\n\n{_COLLECTORS}\n\n"
    return head + table(("collector", "every", "lane", "what it reads"), rows)


def collector_page(
    collector: Collector[Any], judges: list[str], cost: Mapping[str, Mapping[str, Any]]
) -> str:
    """One collector: what it reads and when, what it needs, what it costs, what it exports."""
    every, at_most = format_duration(collector.interval_s), format_duration(collector.timeout_s)
    parts = [
        f"# {collector.name}\n\n{collector.summary}",
        f"Every {every} on the {collector.lane.value} lane, at most {at_most} each time{_pace(collector)}.",
        f"Section `[collectors.{collector.name}]`: `enabled`, `interval`.",
        f"## Privileges\n\n{_privileges(collector)}",
        f"## Cost and versions\n\n{_CONSOLE if collector.kind is TargetKind.PGBOUNCER else _cost(cost)}",
        *_judged(judges),
        *_exported(collector),
    ]
    parts += [_query(query) for query in collector.queries]
    return "\n\n".join(parts) + "\n"


def _pace(collector: Collector[Any]) -> str:
    kept = ", also while the server is busy"
    if collector.fixed_pace:
        return kept
    rests = (
        f"; every {format_duration(IDLE * collector.interval_s)} where there is nothing for it"
        if collector.idle
        else ""
    )
    return f"{rests}; less often while the server is busy"


def _privileges(collector: Collector[Any]) -> str:
    if collector.kind is TargetKind.PGBOUNCER:
        return "For targets of kind `pgbouncer`: a user in `stats_users` is enough; its tests read as one."
    needs = f" Needs the extension `{collector.extension}`." if collector.extension else ""
    return f"The tier `watch` of `pgvigil grants` is enough; its tests read as exactly that role.{needs}"


_CONSOLE = (
    "PgBouncer answers from its own memory, without a query to any server. Columns are taken by name from whatever the"
    " version (1.16 and newer) answers with: one that it does not have is null."
)


def _cost(cost: Mapping[str, Mapping[str, Any]]) -> str:
    told = "A column with something under `needs` is null on servers that lack it; the rest is read on every version."
    if not cost:
        return told
    rows = (
        (version, f"{each['ms']:.1f}", str(each["temp_blocks"]), str(each["locks"]))
        for version, each in sorted(cost.items(), key=lambda item: int(item[0]))
    )
    head = ("PostgreSQL", "server time of a reading, ms", "temp blocks", "strongest lock")
    return f"{told} Measured on a large server (see [cost](../cost.md)):\n\n{table(head, rows)}".rstrip()


def _judged(judges: list[str]) -> Iterator[str]:
    if judges:
        listed = ", ".join(f"[`{name}`](../rules/{name}.md)" for name in judges)
        yield f"## Who judges it\n\n{listed}. And [`threshold`](../rules/threshold.md), where you set a limit of your own."


def _exported(collector: Collector[Any]) -> Iterator[str]:
    first = ("target",) if collector.lane is LaneKind.SERVER else ("target", "database")
    rows = [
        (
            f"`pgvigil_{family.name}{'_total' * (family.counter or family.summed)}`",
            ", ".join((*first, *family.labels)),
            family.help,
        )
        for family in collector.families
    ]
    if rows:
        yield f"## Metrics\n\n{table(('metric', 'labels', 'meaning'), rows)}".rstrip()


def _query(query: Any) -> str:
    rows = ((f"`{c.name}`", c.unit, c.help, f"`{c.needs}`" if c.needs else "") for c in query.columns)
    return f"## Query `{query.name}`\n\n" + table(("column", "unit", "meaning", "needs"), rows).rstrip()


def _judges(plugins: Plugins) -> dict[str, list[str]]:
    """The rules by the feed that they judge."""
    found: dict[str, list[str]] = {}
    for rule in plugins.rules.values():
        for feed in rule.watches:
            found.setdefault(feed, []).append(rule.name)
    return found


@cache
def _costs(path: Path) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """What `make bench-cost` measured, by collector and major version; nothing before it ran."""
    if not path.exists():
        return {}
    found: Mapping[str, Mapping[str, Mapping[str, Any]]] = json.loads(path.read_text())["collectors"]
    return found


_RULES = """\
Every rule's section starts with the same keys; the rest are its own gates. The daemon waits for as long as `for` says
before it tells; `pgvigil check` looks once and tells at once. `[rules.NAME.overrides."orders-*"]`
replaces keys for the targets whose name matches the pattern, `[rules.NAME.overrides."env=prod"]` for those whose
label does; where several match, the later one wins. To silence a rule, set `enabled = false` in its section or in an
override. `pgvigil rules explain NAME` shows a rule's page in the terminal."""
_COLLECTORS = """\
A collector reads one view of a server, or of each of its databases in turn."""
