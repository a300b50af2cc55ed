"""Rules that cannot fire as things are: a part of the problem that blinds them, and none of its own."""

from collections.abc import Collection, Mapping

from alerts.bound import BoundRule
from daemon.settings.rulebook import TEMPLATE
from pgvigil.problems import Problem

# What a problem takes away from a feed, where it is not the whole feed that is missing.
HIDES: Mapping[str, frozenset[str]] = {
    "not-pg-monitor": frozenset({"activity", "lock_waits", "statements"}),
    "track-activities-off": frozenset({"activity"}),
}
STOPS: Mapping[str, frozenset[str]] = {
    "extension-not-preloaded": frozenset({"statements"}),
    "statements-not-tracked": frozenset({"statements"}),
    "compute-query-id-off": frozenset({"statements"}),
}
_ONLY_OWN = "not-pg-monitor"


def blind_rules(
    rules: Mapping[str, BoundRule], unread: Mapping[str, Problem], problems: Collection[Problem]
) -> dict[Problem, str]:
    """What each cause does to rules, as a sentence. `unread` are feeds that are not read at all, and why."""
    lost = dict(unread)
    for takes in (STOPS, HIDES):  # what hides a part matters only where there is a whole
        for problem in problems:
            for feed in takes.get(problem.slug, ()):
                lost.setdefault(feed, problem)
    blind: dict[Problem, list[str]] = {}
    for name, bound in rules.items():
        watches = bound.rule.watches
        if watches and lost.keys() >= {*watches}:
            cause = lost[watches[0]]
            # An instance of the template may count what is still there.
            if not name.startswith(f"{TEMPLATE}.") or cause.slug not in HIDES:
                blind.setdefault(cause, []).append(name)
    return {cause: _said(cause, ", ".join(sorted(names))) for cause, names in blind.items()}


def _said(cause: Problem, names: str) -> str:
    how = "see only the role's own sessions" if cause.slug == _ONLY_OWN else "cannot fire"
    return f"Meanwhile {names} {how}, and their silence means nothing."
