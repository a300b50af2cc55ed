"""A sink that reaches nobody is an incident like any other, told through the others. It is nobody's target's.

It is not among the rules of targets: no server shows it. A sink counts as well only on evidence, a call that succeeded;
while there is none, after a restart or with nothing to tell, what was said of it stands as unknown.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.bound import BoundRule
from alerts.routes import Recipient
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.incident import Incident
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.text import one_line
from pgvigil.units import format_duration

OWN = "(pgvigil)"  # where a target's name stands; no target can be called so
FEED = "sinks"
NAME = "sink_failing"
_SUBJECT = "sink "


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a destination takes nothing. `set_up` says that people must mend it: it does not go away by itself."""

    error: str
    set_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkHealth:
    """One row of the feed. `trouble` is None when the last call did not fail; `proven` says that one succeeded."""

    name: str
    trouble: Trouble | None
    lasts_s: float = 0.0
    proven: bool = False
    pending: int | None = None  # None: not known

    def fails(self, after_s: float) -> bool:
        """Whether people there miss something: at once when the set-up is broken, else after a while."""
        return (
            self.trouble is not None
            and self.pending != 0
            and (self.trouble.set_up or self.lasts_s >= after_s)
        )


class SinkFailingParams(SeverityParams):
    severity: str = "critical"
    after_s: float = 120.0


def evaluate(reading: Snapshot[Any] | Delta[Any], params: SinkFailingParams, _context: Context) -> Judgement:
    rows: tuple[SinkHealth, ...] = reading.rows
    found = tuple(
        _finding(row, row.trouble, params) for row in rows if row.trouble and row.fails(params.after_s)
    )
    unclear = {
        _SUBJECT + row.name
        for row in rows
        if not row.fails(params.after_s) and (row.trouble is not None or not row.proven)
    }
    return Judgement(found, Scope(not_covered=frozenset(unclear), reason="nothing was told there since"))


def _finding(row: SinkHealth, trouble: Trouble, params: SinkFailingParams) -> Finding:
    return Finding(
        rule=NAME,
        target=OWN,
        database=None,
        subject=_SUBJECT + row.name,
        level=params.level,
        summary=f"The sink {row.name} takes no messages: {one_line(trouble.error, 200)}",
        evidence=Evidence(
            impact=f"Whoever is told through {row.name} alone hears nothing until it works again; then all is told"
            " that still matters.",
            figures=(
                Figure("Sink", row.name),
                Figure("Waiting", "not known" if row.pending is None else str(row.pending)),
            ),
            cause="Its set-up must be mended by people."
            if trouble.set_up
            else "It cannot be reached, or is not well.",
        ),
        steps=(
            Step(f"`pgvigil doctor` says what is wrong with [sinks.{row.name}]."),
            Step(f"Once it is mended: `pgvigil notify test {row.name}`."),
        ),
    )


RULE = Rule(
    name=NAME,
    watches=(FEED,),
    params=SinkFailingParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A sink reaches nobody.",
        magnitude="",
        why_these_defaults=f"A destination that restarts is back within {format_duration(120.0)}.",
        evidence="The sink, the error and how much waits.",
        what_to_do="Mend the sink: `pgvigil doctor` says what is wrong.",
    ),
)


def bound(after_s: float) -> BoundRule:
    """The rule; a sink that cannot be reached counts as failing after `after_s`."""
    return BoundRule(RULE, SinkFailingParams(after_s=after_s))


def others(
    route: Callable[[Incident], Sequence[Recipient]], sinks: Callable[[], Iterable[str]]
) -> Callable[[Incident], Sequence[Recipient]]:
    """`route` without the sink that is broken. Where that leaves nobody, all others: somebody must hear of it."""

    def routed(incident: Incident) -> Sequence[Recipient]:
        broken = incident.subject.removeprefix(_SUBJECT)
        found = [each for each in route(incident) if each.sink != broken]
        return found or [Recipient(name, "") for name in sinks() if name != broken]

    return routed
