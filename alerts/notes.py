"""What an incident absorbed, as lines of its evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident

SHOWN = 8  # lines in a message; the rest is a number
KEPT = 200  # absorbed findings that are told apart, per incident


@dataclass(frozen=True, slots=True)
class Notes:
    """`own` are the rule's own lines; `absorbed` one line for each finding that was absorbed, by its
    fingerprint, so that a finding that comes with every poll is one line with its latest figures.
    """

    own: tuple[str, ...] = ()
    absorbed: Mapping[str, str] = field(default_factory=dict)

    def with_own(self, own: tuple[str, ...]) -> "Notes":
        return replace(self, own=own)

    def adding(self, finding: Finding, child: Incident | None) -> "Notes":
        """`child` is the finding's own incident, where it had one before."""
        return self.line(finding.fingerprint, f"{_name(child)}{finding.rule}: {finding.summary}")

    def adding_child(self, child: Incident) -> "Notes":
        return self.line(child.fingerprint, f"{_name(child)}{child.rule}: {child.summary}")

    def line(self, key: str, text: str) -> "Notes":
        if key not in self.absorbed and len(self.absorbed) >= KEPT:
            return self
        return replace(self, absorbed={**self.absorbed, key: text})

    @property
    def shown(self) -> tuple[str, ...]:
        """For `Evidence.notes`: the rule's own, then the first that were absorbed, each text once."""
        texts = tuple(dict.fromkeys((*self.own, *self.absorbed.values())))
        limit = len(self.own) + SHOWN
        more = len(texts) - limit
        return texts if more <= 0 else (*texts[:limit], f"and {more} more")


def _name(child: Incident | None) -> str:
    """One that is new has no number yet."""
    return "" if child is None or not child.id else f"{child.name} "
