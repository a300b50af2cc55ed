"""What a managed service takes away from everybody: no GRANT brings it back, so that it is no fault and not stale."""

import re

from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.services import KEPT
from pgvigil.problems import Problem

_FUNCTION = re.compile(r"permission denied for function ")
_NOT_SUPPORTED = "0A000"  # feature_not_supported: how Aurora answers for functions of WAL and of replay


def out_of_reach(failure: Failure, facts: Facts | None) -> bool:
    """Whether nobody can make the reading work: a function that the service keeps for itself or does not have."""
    if failure.sqlstate == _NOT_SUPPORTED:
        return True
    kept = facts is not None and facts.service is not None
    return kept and failure.kind is FailureKind.PRIVILEGE and _FUNCTION.match(failure.message) is not None


def kept_functions(target: str, facts: Facts) -> Problem | None:
    """What the service lets nobody call, and what is not seen therefore."""
    if not facts.kept_functions:
        return None
    unseen = ", ".join(KEPT[function] for function in facts.kept_functions)
    return Problem(
        slug="functions-kept-by-service",
        sentence=f"{target}: {facts.service} keeps {', '.join(facts.kept_functions)} for itself, so pgvigil does not see:"
        f" {unseen}.",
        why="No role of a customer may call them. What stands on them is left out, which counts neither as stale nor as a"
        " fault; everything else is watched as on any server.",
        fix="Nothing can be granted: watch it with what the service shows itself (docs/how-to/managed-services.md).",
        target=target,
    )


def not_offered(target: str, collector: str, message: str, service: str | None) -> Problem:
    """What is not read there, once."""
    return Problem(
        slug="not-offered-by-service",
        sentence=f"{target}: {service or 'this server'} does not offer what {collector} reads: {message}.",
        why="The service keeps the function for itself, or has another storage behind the same name. That one collector"
        " is without readings, which counts neither as stale nor as a fault; the others go on.",
        fix="Nothing can be granted: watch it with what the service shows itself (docs/how-to/managed-services.md).",
        target=target,
    )
