"""What the tests of the design checks share: what a check finds in a real database, and its commands run."""

from collections.abc import Mapping
from typing import Any

from alerts.rules._checks import RULES
from pgvigil.model.finding import Finding, Judgement
from pgvigil.postgres.session import Session
from schemas.collectors.schema_checks import COLLECTOR, QUERIES, SchemaReading
from tests.support.readings import context, snapshot
from tests.support.servers import Database


def judged(check: str, reader: Session, params: Mapping[str, Any] | None = None, **known: Any) -> Judgement:
    """What the check's rule says of the reader's database now."""
    reading = SchemaReading(found={check: reader.rows(QUERIES[check], {"locked": []})})
    rule = RULES[check]
    taken = snapshot(reading, COLLECTOR.name, database=reader.database)
    return rule.evaluate(taken, rule.params.model_validate(params or {}), context(**known))


def found(check: str, reader: Session, params: Mapping[str, Any] | None = None, **known: Any) -> list[str]:
    """The subjects that the check tells of."""
    return [finding.subject for finding in judged(check, reader, params, **known).findings]


def only(check: str, reader: Session, params: Mapping[str, Any] | None = None, **known: Any) -> Finding:
    (finding,) = judged(check, reader, params, **known).findings
    return finding


def run_steps(database: Database, finding: Finding) -> None:
    """The commands as they stand, in their order."""
    commands = [step.sql for step in finding.steps if step.sql]
    assert commands
    with database.connect() as connection:
        for command in commands:
            connection.execute(command.encode(), prepare=False)
