"""`pgvigil rules backtest`: one rule with other parameters on the readings that are kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    ago_of,
    chosen_targets,
    load_settings,
    print_json,
)
from daemon.clock import system_now
from daemon.jsonable import stamp
from daemon.rehearsal.backtest import Replayed, matching, replay, with_values
from daemon.rehearsal.readings import NOT_KEPT
from daemon.settings.errors import nearest
from daemon.settings.plugins import Plugins
from pgvigil.model.incident import Incident, State
from pgvigil.plugins import Collector
from pgvigil.store.store import Store
from pgvigil.text import one_line
from pgvigil.units import format_duration


def backtest(
    *,
    rule: Annotated[str, typer.Option(help="The rule to try.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE: a parameter as it would be.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far back, such as 7d.")] = "7d",
    target: Annotated[str | None, typer.Option(help="Only this target.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Play the readings that are kept to one rule, and print when it would have fired, next to when it did."""
    settings = load_settings(config)
    collectors = Plugins.installed().collectors
    now = system_now().utc
    start = now - timedelta(seconds=ago_of(since))
    tried: list[tuple[Replayed, list[Incident]]] = []
    with closing(Store.open(settings.daemon.store.reveal(), exclusive=False)) as store:
        for one in chosen_targets(settings, target):
            bound = settings.bound_rules(one.name).get(rule)
            if bound is None:
                continue
            _can_be_played(rule, bound.rule.watches, collectors)
            try:
                changed = with_values(bound, _values(set_ or ()))
            except ValueError as error:
                raise typer.BadParameter(f"--set: {error}") from None
            found = replay(one, changed, collectors, store.samples, start)
            known = store.incidents.list(target=one.name, rule=rule, limit=1000)
            tried.append((found, [each for each in known if _fired_since(each, found.first_at or start)]))
    if not tried:
        known_rules = tuple({name for one in settings.targets for name in settings.bound_rules(one.name)})
        raise typer.BadParameter(f"no target is judged by {rule!r}; {nearest(rule, known_rules)}")
    if json:
        print_json({"rule": rule, "targets": [_object(*each) for each in tried]})
    else:
        typer.echo("\n".join(line for each in tried for line in _lines(*each)))


def _can_be_played(rule: str, watches: Sequence[str], collectors: Mapping[str, Collector[Any]]) -> None:
    for feed in watches:
        if feed in NOT_KEPT or feed not in collectors:  # what pgvigil judges of itself is no reading
            raise typer.BadParameter(f"{rule} judges {feed}, of which no readings are kept")


def _values(given: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"--set {each!r}: write KEY=VALUE, such as warning=10m")
        values[key.strip()] = text.strip()
    return values


def _fired_since(incident: Incident, start: datetime) -> bool:
    return incident.fired_at is not None and (incident.resolved_at or incident.evaluated_at) >= start


def _lines(found: Replayed, did: Sequence[Incident]) -> Iterator[str]:
    if found.first_at is None or found.last_at is None:
        yield f"{found.target}: no readings are kept; see samples in [retention]"
        return
    span = format_duration((found.last_at - found.first_at).total_seconds())
    yield f"{found.target}: {found.readings:,} readings over {span}, from {_clock(found.first_at)}"
    if found.fine_since is not None:
        apart = f", {format_duration(found.every_s)} apart" if found.every_s else ""
        coarse = found.fine_since - found.first_at > timedelta(hours=1)
        before = "; before that at least 5m apart, where what was shorter is not seen" if coarse else ""
        yield f"  all that were kept from {_clock(found.fine_since)}{apart}{before}"
    if found.unreadable:
        yield f"  left out: {found.unreadable} blocks of readings that are damaged or of another version"
    if found.failures:
        yield f"  the rule failed {found.failures} times: what it would have said is not all here"
    yield f"  would have fired {_times(len(found.fired))}, did fire {_times(len(did))}"
    for line in sorted([*_would(found, did), *_did_alone(found, did)]):
        yield f"  {line}"


def _would(found: Replayed, did: Sequence[Incident]) -> Iterator[str]:
    for one in found.fired:
        then = matching(one, did)
        yield f"{_told(one, found.last_at)}  [{'did not' if then is None else 'did: ' + then.name}]"


def _did_alone(found: Replayed, did: Sequence[Incident]) -> Iterator[str]:
    for one in did:
        if matching(one, found.fired) is None:
            yield f"{_told(one, one.evaluated_at)}  [only did: {one.name}]"


def _told(incident: Incident, until: datetime | None) -> str:
    assert incident.fired_at is not None  # noqa: S101 - only such are listed
    over = incident.state is State.RESOLVED
    end = incident.resolved_at if over else until
    lasted = format_duration(max(0.0, ((end or incident.fired_at) - incident.fired_at).total_seconds()))
    where = f" {one_line(incident.database, 63)}:" if incident.database is not None else ""
    word = lasted if over else f"{lasted}, goes on"
    return f"{_clock(incident.fired_at)}  {word:<8}  {incident.peak.word:<8} {where} {one_line(incident.summary, 100)}"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count or 'no'} times"


def _object(found: Replayed, did: Sequence[Incident]) -> dict[str, Any]:
    return {
        "target": found.target,
        "readings": found.readings,
        "first_at": stamp(found.first_at),
        "last_at": stamp(found.last_at),
        "all_kept_since": stamp(found.fine_since),
        "unreadable_blocks": found.unreadable,
        "rule_failures": found.failures,
        "would_have_fired": [
            {**_episode(one), "did": None if (then := matching(one, did)) is None else then.name}
            for one in found.fired
        ],
        "did_fire": [{**_episode(one), "incident": one.name} for one in did],
    }


def _episode(incident: Incident) -> dict[str, Any]:
    return {
        "database": incident.database,
        "subject": incident.subject,
        "summary": incident.summary,
        "peak_severity": incident.peak.word,
        "state": incident.state.value,
        "fired_at": stamp(incident.fired_at),
        "resolved_at": stamp(incident.resolved_at),
    }
