"""A changed configuration: what is different, and whether it is taken or refused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from alerts.bound import BoundRule
from daemon.board import Board
from daemon.clock import Now, system_now
from daemon.settings.errors import ConfigError, ConfigErrors
from daemon.settings.loader import load
from daemon.settings.sections import DaemonSettings, Section
from daemon.settings.settings import Settings
from pgvigil.problems import Problem, SetupError
from pgvigil.store import StoreError

log = structlog.get_logger(__name__)

# What of [daemon] takes effect while pgvigil runs, or has a meaning at a start only; the rest waits for a restart.
LIVE = frozenset(
    {
        "public_url",
        "allowed_hosts",
        "log_level",
        "api_token_file",
        "digest_after_s",
        "storm_at",
        "storm_within_s",
        "storm_quiet_s",
        "heartbeat_url",
        "heartbeat_every_s",
        "sink_failing_after_s",
    }
)
_REFUSED, _RESTART = "configuration refused", "configuration at restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Names of what is different; `restart` has keys of [daemon] with the value in force and the file's."""

    targets_added: tuple[str, ...] = ()
    targets_removed: tuple[str, ...] = ()
    targets_changed: tuple[str, ...] = ()
    rules_changed: tuple[str, ...] = ()
    collectors_changed: tuple[str, ...] = ()
    sinks_added: tuple[str, ...] = ()
    sinks_removed: tuple[str, ...] = ()
    sinks_changed: tuple[str, ...] = ()
    settings_changed: tuple[str, ...] = ()
    restart: Mapping[str, tuple[str, str]]

    def shown(self) -> dict[str, list[str]]:
        """For the log: what is different, and nothing of the rest."""
        named = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "restart"}
        return {name: list(values) for name, values in named.items() if values}


def changes(before: Settings, after: Settings, running: DaemonSettings) -> Changes:
    """From the configuration in force to the one in the file. `running` is what the daemon was started with."""
    targets = _Two({one.name: one for one in before.targets}, {one.name: one for one in after.targets})
    sinks = _Two(before.sinks, after.sinks)
    return Changes(
        targets_added=targets.added,
        targets_removed=targets.removed,
        targets_changed=targets.changed,
        rules_changed=_rules(before, after),
        collectors_changed=_Two(_read_how(before), _read_how(after)).changed,
        sinks_added=sinks.added,
        sinks_removed=sinks.removed,
        sinks_changed=sinks.changed,
        settings_changed=tuple(_settings(before, after)),
        restart=_at_restart(running, after.daemon),
    )


class _Two:
    """The same table before and after."""

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self.added = tuple(sorted(after.keys() - before.keys()))
        self.removed = tuple(sorted(before.keys() - after.keys()))
        self.changed = tuple(sorted(key for key in before.keys() & after.keys() if before[key] != after[key]))


def _rules(before: Settings, after: Settings) -> tuple[str, ...]:
    """Rules that are judged differently at some target that both have."""
    found: set[str] = set()
    for target in before.rules.keys() & after.rules.keys():
        two = _Two(_judged(before.rules[target]), _judged(after.rules[target]))
        found.update((*two.added, *two.removed, *two.changed))
    return tuple(sorted(found))


def _judged(rules: Mapping[str, BoundRule]) -> dict[str, tuple[Any, ...]]:
    return {name: (bound.rule.watches, bound.params) for name, bound in rules.items()}


def _read_how(settings: Settings) -> dict[str, tuple[bool, float]]:
    return {name: (one.enabled, one.interval_s) for name, one in settings.collectors.items()}


def _settings(before: Settings, after: Settings) -> Iterator[str]:
    if before.routes != after.routes:
        yield "routes"
    if before.tokens != after.tokens:
        yield "tokens"
    if before.people != after.people:
        yield "people"
    if before.maintenance != after.maintenance:
        yield "maintenance"
    if before.relations.groupings != after.relations.groupings:
        yield "groups"
    if before.relations.inhibitions != after.relations.inhibitions:
        yield "inhibitions"
    for section in ("metrics", "retention"):
        was, now = getattr(before, section), getattr(after, section)
        yield from (f"{section}.{name}" for _, name in _different(was, now))
    yield from (f"daemon.{name}" for key, name in _different(before.daemon, after.daemon) if key in LIVE)


def _at_restart(running: DaemonSettings, file: DaemonSettings) -> dict[str, tuple[str, str]]:
    return {
        f"daemon.{name}": (str(getattr(running, key)), str(getattr(file, key)))
        for key, name in _different(running, file)
        if key not in LIVE
    }


def _different(before: Section, after: Section) -> Iterator[tuple[str, str]]:
    """The keys with another value, each with its name in the file."""
    for key, field in type(after).model_fields.items():
        if getattr(before, key) != getattr(after, key):
            yield key, field.alias or key


class LastReload:
    """For the metrics: whether the last attempt was taken, and when one last was. The start is one."""

    def __init__(self, at: datetime) -> None:
        self.successful = True
        self.success_at = at

    def taken(self, at: datetime) -> None:
        self.successful, self.success_at = True, at

    def refused(self) -> None:
        self.successful = False


class Reloadable(Protocol):
    """What of the daemon is needed here."""

    board: Board
    last_reload: LastReload

    def reload(self, settings: Settings) -> Changes:
        """Go over to `settings`. Raises SetupError or StoreError; nothing has changed then."""


class Reload:
    """Callable, for one thread: reads `file` again, and goes over to it or says why not."""

    def __init__(
        self, daemon: Reloadable, file: Path, environ: Mapping[str, str], now: Now = system_now
    ) -> None:
        self._daemon = daemon
        self._file = file
        self._environ = environ
        self._now = now

    def __call__(self) -> bool:
        try:
            changed = self._daemon.reload(load(self._file, self._environ))
        except ConfigErrors as errors:
            return self._refused(errors.errors)
        except SetupError as error:
            return self._refused([self._error(one.sentence, one.fix) for one in error.problems])
        except (StoreError, OSError) as error:
            return self._refused([self._error(str(error))])
        self._daemon.last_reload.taken(self._now().utc)
        self._daemon.board.note(_REFUSED, None)
        self._note_restart(changed.restart)
        log.info("config_reloaded", file=str(self._file), **changed.shown())
        return True

    def _error(self, problem: str, fix: str = "") -> ConfigError:
        return ConfigError(file=str(self._file), problem=problem, hint=fix)

    def _refused(self, errors: Sequence[ConfigError]) -> bool:
        log.error(
            "config_refused", in_force="the configuration before", errors=[_told(one) for one in errors]
        )
        self._daemon.last_reload.refused()
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        self._daemon.board.note(
            _REFUSED,
            Problem(
                slug="config-refused",
                sentence=f"The changed configuration cannot be used, so the one before stays in force: {errors[0]}{more}",
                fix="`pgvigil config check` shows every error; mend them and reload.",
            ),
        )
        return False

    def _note_restart(self, waiting: Mapping[str, tuple[str, str]]) -> None:
        """What the file says and only a start can bring about; cleared when the file goes back."""
        told = "; ".join(
            f"{key} is {running} and the file says {file}" for key, (running, file) in waiting.items()
        )
        problem = Problem(
            slug="restart-needed",
            sentence=f"What changes at the next start only: {told}.",
            fix="Restart pgvigil, or put the old value back.",
        )
        if self._daemon.board.note(_RESTART, problem if waiting else None) and waiting:
            log.warning("restart_needed", keys=sorted(waiting), sentence=problem.sentence)


def _told(error: ConfigError) -> dict[str, Any]:
    """For the log: file, line, key and the way out beside each other, without what is not known."""
    return {name: value for name, value in asdict(error).items() if value}
