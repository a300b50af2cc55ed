"""A rule together with the parameters that hold for one target."""

from dataclasses import dataclass
from typing import Any

from alerts.timers import Policy
from pgvigil.plugins import Rule


@dataclass(frozen=True, slots=True)
class BoundRule:
    """`params` is of the type `rule.params`, with the target's overrides applied."""

    rule: Rule[Any]
    params: Any

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def policy(self) -> Policy:
        return Policy(for_s=self.params.for_s, keep_firing_for_s=self.params.keep_firing_for_s)
