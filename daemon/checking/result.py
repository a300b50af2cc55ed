"""What one pass found out about one target, and what it did not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCovered:
    """What was not looked at or could not be judged. `database` None is the server, `collector` None all of
    them, `rule` None every rule. What was `chosen` (switched off, skipped by an option) is no doubt about the rest.
    """

    reason: str
    database: str | None = None
    collector: str | None = None
    rule: str | None = None
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """A rule that cannot fire at a target as things are. `chosen`: the configuration wants it so."""

    rule: str
    reason: str
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`up` None: nobody could tell. `findings` are the worst first, each followed by those that it explains;
    `explained_by` says by which, by fingerprint.
    """

    name: str
    up: bool | None
    findings: tuple[Finding, ...] = ()
    explained_by: Mapping[str, Finding] = field(default_factory=dict)
    not_covered: tuple[NotCovered, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def worst(self) -> Level | None:
        """None where nothing was found; an explained finding counts like any other."""
        return max((finding.level for finding in self.findings), default=None)

    @property
    def doubtful(self) -> bool:
        """Whether something that should have been looked at was not."""
        return any(not each.chosen for each in self.not_covered)

    def depth(self, finding: Finding) -> int:
        """How many findings stand above it."""
        above = self.explained_by.get(finding.fingerprint)
        return 0 if above is None else 1 + self.depth(above)
