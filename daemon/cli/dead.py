"""`pgvigil rules dead`: what cannot fire as things are, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from daemon.checking.passes import Pass
from daemon.checking.result import Checked, Dead
from daemon.cli import codes
from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    chosen_targets,
    load_settings,
    print_json,
)
from daemon.settings import Settings, TargetSettings
from daemon.settings.plugins import Plugins
from daemon.settings.rulebook import TEMPLATE
from pgvigil.plugins import Rule
from pgvigil.text import one_line

SWITCHED_OFF = "switched off in the configuration"
NOBODY = "no target is of the kind that it is for"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """Of one target. `why_not` is why nobody could look; then only what the configuration says is known."""

    target: str
    rules: int
    dead: tuple[Dead, ...]
    why_not: str = ""


def dead(
    *,
    target: Annotated[str | None, typer.Option(help="Only this target.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Say which rules cannot fire as things are, and why: what they judge is not read, switched off, or not there.

    Reads each target once; changes, stores and sends nothing. Exit code: 3 when a target could not be looked at, else 0.
    """
    from daemon import logs

    settings = load_settings(config)
    targets = chosen_targets(settings, target)
    flush = logs.configure(settings.daemon.log_format, "error")
    try:
        looked = Pass(settings, sample_s=0.0, whole=True).dead_rules(targets)
    finally:
        flush()
    reports = [_report(settings, *each) for each in zip(targets, looked, strict=True)]
    idle = () if target else _of_no_target(settings)
    if json:
        print_json({"targets": [asdict(one) for one in reports], "of_no_target": [one.rule for one in idle]})
    else:
        typer.echo("\n".join(_lines(reports, idle)))
    raise typer.Exit(codes.UNKNOWN if any(one.why_not for one in reports) else codes.OK)


def _report(settings: Settings, target: TargetSettings, looked: tuple[Dead, ...] | Checked) -> _Report:
    bound = settings.bound_rules(target.name)
    fitting = [rule.name for rule in Plugins.installed().rules.values() if _fits(rule, target)]
    off = [Dead(rule=name, reason=SWITCHED_OFF, chosen=True) for name in fitting if name not in bound]
    why_not, found = "", tuple[Dead, ...]()
    if isinstance(looked, Checked):
        why_not = next((one.reason for one in looked.not_covered if one.collector is None), "no answer")
    else:
        found = looked
    dead = tuple(sorted((*off, *found), key=lambda one: one.rule))
    return _Report(target=target.name, rules=len({*fitting, *bound}), dead=dead, why_not=why_not)


def _fits(rule: Rule[Any], target: TargetSettings) -> bool:
    """The template is nothing by itself; its instances are among what is bound."""
    collectors = Plugins.installed().collectors
    feeds = (collectors[name] for name in rule.watches if name in collectors)
    return rule.name != TEMPLATE and all(each.fits(target.kind) for each in feeds)


def _of_no_target(settings: Settings) -> tuple[Dead, ...]:
    rules = (rule for rule in Plugins.installed().rules.values() if rule.name != TEMPLATE)
    return tuple(
        Dead(rule=rule.name, reason=NOBODY, chosen=True)
        for rule in rules
        if not any(_fits(rule, target) for target in settings.targets)
    )


def _lines(reports: Sequence[_Report], idle: Sequence[Dead]) -> Iterator[str]:
    for one in reports:
        if one.why_not:
            yield f"{one.target}: could not look: {one_line(one.why_not, 300)}"
        else:
            yield f"{one.target}: {len(one.dead) or 'none'} of {one.rules} rules cannot fire"
        yield from _by_reason(one.dead)
    if idle:
        yield "all targets"
        yield from _by_reason(idle)


def _by_reason(dead: Sequence[Dead]) -> Iterator[str]:
    """What people did not choose comes first."""
    reasons: dict[tuple[bool, str], list[str]] = {}
    for one in dead:
        reasons.setdefault((one.chosen, one.reason), []).append(one.rule)
    for (_, reason), names in sorted(reasons.items()):
        yield f"  {one_line(reason, 300)}"
        yield from (f"    {name}" for name in names)
