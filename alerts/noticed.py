"""What pgvigil itself saw change at a server near an incident, as words of its likely cause: never as a certainty.

When it happened is known to lie between two readings, and is told as exactly as that. What a rule tells by itself is
not told again in the cause of that rule's incidents.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.markers import NEAR
from pgvigil.model.change import IDENTITY, Change
from pgvigil.text import one_line
from pgvigil.units import format_duration

MOST_TOLD = 2
_AT_ONCE = 2  # more settings that change at once are one deployment, and told as one
_EXACT = timedelta(seconds=60)  # two readings nearer than this are one time
_SKEW = timedelta(seconds=30)  # between the server's clock and ours
_MACHINE = (
    "data_directory"  # where it differs another server answers by the same name: all else differs by that
)
_VERSION = "server_version"

NearOfRule = Callable[[str, datetime], str]


def nothing_noticed(_rule: str, _since: datetime) -> str:
    """Nothing has changed, or nobody looks."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something was otherwise when it was read at `after`, and so when it was read at `at`. `told_by` are the rules whose
    incidents say it themselves.
    """

    after: datetime
    at: datetime
    text: str
    told_by: frozenset[str]


class Noticing:
    """Of one target. `changes` are those of a feed's journal; `revision` differs when any of them do. Thread-safe: what
    two threads find at once is the same.
    """

    def __init__(self, changes: Callable[[str], Sequence[Change]], revision: Callable[[], int]) -> None:
        self._changes = changes
        self._revision = revision
        self._known: tuple[int, tuple[Noticed, ...]] = (-1, ())

    def near(self, rule: str, since: datetime) -> str:
        """What changed within an hour of `since`, when an incident of `rule` was first seen: sentences, or ""."""
        about = [one for one in self._now() if rule not in one.told_by and _is_near(one, since)]
        nearest = sorted(about, key=lambda one: (_later(one, since), _distance(one, since)))
        return " ".join(_sentence(one, since) for one in nearest[:MOST_TOLD])

    def _now(self) -> Sequence[Noticed]:
        revision = self._revision()
        if self._known[0] != revision:
            found = tuple(one for feed, tell in _TELL.items() for one in tell(self._changes(feed)))
            self._known = revision, found
        return self._known[1]


# --- when -------------------------------------------------------------------------------------------------


def _is_near(one: Noticed, since: datetime) -> bool:
    return one.at > since - NEAR and one.after < since + NEAR


def _later(one: Noticed, since: datetime) -> bool:
    return one.after >= since


def _distance(one: Noticed, since: datetime) -> timedelta:
    """At least."""
    return max(since - one.at, one.after - since, timedelta(0))


def _sentence(one: Noticed, since: datetime) -> str:
    exact = one.at - one.after <= _EXACT
    if one.at <= since:
        least, most = _span(since - one.at), _span(since - one.after)
        return f"First seen {least if exact else f'{least} to {most}'} after: {one.text}."
    if one.after >= since:
        return f"{_span(one.at - since)} later{'' if exact else ' at most'}: {one.text}."
    return f"At about that time, {one.after:%H:%M:%S} to {one.at:%H:%M:%S} UTC: {one.text}."


def _span(length: timedelta) -> str:
    return format_duration(length.total_seconds())


# --- what -------------------------------------------------------------------------------------------------


def _settings(changes: Sequence[Change]) -> Iterable[Noticed]:
    told_by = frozenset({"setting_changed"})
    at_once: defaultdict[datetime, list[Change]] = defaultdict(list)
    for change in changes:
        at_once[change.at].append(change)
    for together in at_once.values():
        if any(change.key == _MACHINE for change in together):
            yield _noticed(
                together[0], "another server answers by this name, with settings of its own", told_by
            )
            continue
        for change in together:
            if change.key == _VERSION and change.old and change.new:
                yield _noticed(
                    change, f"the server's version went from {change.old} to {change.new}", told_by
                )
        yield from _set([each for each in together if each.key != _VERSION and _was_set(each)], told_by)


def _was_set(change: Change) -> bool:
    """A setting that comes or goes belongs to a library or another version; one of a role was given or taken."""
    return " " in change.key or (change.old is not None and change.new is not None)


def _set(changes: Sequence[Change], told_by: frozenset[str]) -> Iterable[Noticed]:
    if len(changes) > _AT_ONCE:
        names = ", ".join(_name(change) for change in changes[:3])
        more = ", ..." if len(changes) > 3 else ""
        yield _noticed(changes[0], f"{len(changes)} settings were changed ({names}{more})", told_by)
        return
    for change in changes:
        yield _noticed(
            change, f"{_name(change)} was changed from {_value(change.old)} to {_value(change.new)}", told_by
        )


def _name(change: Change) -> str:
    return one_line(change.key.removeprefix("setting "), 80)


def _value(value: str | None) -> str:
    return "none" if value is None else one_line(value, 40) or '""'


def _cluster(changes: Sequence[Change]) -> Iterable[Noticed]:
    told_by = frozenset({"role_changed", "timeline_changed", "two_primaries"})
    at_once: defaultdict[datetime, dict[str, Change]] = defaultdict(dict)
    for change in changes:
        at_once[change.at][change.key] = change
    for together in at_once.values():
        text = _failover(together)
        first = next(iter(together.values()))
        if text:
            yield _noticed(first, text, told_by)
        elif text := _restart(together.get("started_at")):
            yield _noticed(first, text, frozenset())


def _failover(together: Mapping[str, Change]) -> str:
    """What is more than a restart: that comes with it, or is another server's."""
    identity, role, timeline = (together.get(key) for key in (IDENTITY, "role", "timeline"))
    if identity is not None and identity.old and identity.new:
        return "a server of another cluster answers by this name"
    if role is not None and role.old and role.new:
        return f"the server became a {role.new} (was a {role.old})"
    if timeline is not None and timeline.old and timeline.new:
        return f"a failover: timeline {timeline.new} was begun (was {timeline.old})"
    return ""


def _restart(change: Change | None) -> str:
    """An older journal did not say since when the server runs."""
    if change is None or not change.old or not change.new:
        return ""
    started_at = _stamp(change.new)
    if started_at is not None and started_at < change.after - _SKEW:
        return "another server answers by this name, which ran before"
    return "the server was restarted"


def _stamp(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _pgbouncer(changes: Sequence[Change]) -> Iterable[Noticed]:
    told_by = frozenset({"pgbouncer_setting_changed", "pgbouncer_version_changed"})
    at_once: defaultdict[datetime, list[Change]] = defaultdict(list)
    for change in changes:
        at_once[change.at].append(change)
    for together in at_once.values():
        upgrade = next((each for each in together if each.key == "version" and each.old and each.new), None)
        if upgrade is not None:
            yield _noticed(upgrade, f"PgBouncer went from {upgrade.old} to {upgrade.new}", told_by)
        else:
            yield from _set([each for each in together if each.old and each.new], told_by)


def _roles(changes: Sequence[Change]) -> Iterable[Noticed]:
    for change in changes:
        name = one_line(change.key, 63)
        text = f"the powers of role {name} went from {_value(change.old)} to {_value(change.new)}"
        yield _noticed(change, text, frozenset({"superuser_roles"}))


def _noticed(change: Change, text: str, told_by: frozenset[str]) -> Noticed:
    return Noticed(after=change.after, at=change.at, text=text, told_by=told_by)


_TELL: Mapping[str, Callable[[Sequence[Change]], Iterable[Noticed]]] = {
    "settings": _settings,
    "cluster": _cluster,
    "pgbouncer_server": _pgbouncer,
    "roles": _roles,
}
