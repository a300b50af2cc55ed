"""One rule judges one reading. What a rule throws costs its own judgement and nothing else."""

from typing import Any

import structlog

from alerts.bound import BoundRule
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context

log = structlog.get_logger(__name__)

RULE_FAILED = "the rule failed; the log of pgvigil has the details"


def judged(bound: BoundRule, reading: Snapshot[Any] | Delta[Any], context: Context) -> Judgement | None:
    """The rule's answer; None when it threw, which is logged."""
    try:
        return bound.rule.evaluate(reading, bound.params, context)
    except Exception:  # the rule's boundary: the others go on
        log.exception("rule_failed", target=context.target, rule=bound.name)
        return None
