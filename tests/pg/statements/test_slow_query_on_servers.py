"""A statement that is slow on a real server, from its counters to what people are told."""

from datetime import UTC, datetime

import pytest

from alerts.rules.slow_query import RULE, SlowQueryParams
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.postgres.session import list_databases
from queries.texts import TextKey, Texts
from tests.pg.statements.conftest import Watched
from tests.support.readings import context

SLOW = "SELECT work.known({}), pg_sleep(0.06) FROM pg_class WHERE relname = 'pg_class'"


class Store:
    def get(self, _target: str, _keys: object) -> dict[TextKey, str]:
        return {}

    def put(self, _target: str, _texts: object) -> None: ...


@pytest.fixture
def finding(watched: Watched) -> Finding:
    """Of the second interval: the first one's asked for the text."""
    texts = Texts("orders-prod", Store())
    names = {database.oid: database.name for database in list_databases(watched.session)}
    known = context(text=texts, database_names=names, facts=watched.session.facts)
    params = SlowQueryParams.model_validate({"warning": "50ms", "clear": "10ms"})
    for number in range(2):
        watched.run(*[SLOW.format(number)] * 6)
        (found,) = RULE.evaluate(watched.read(), params, known).findings
        texts.refresh(watched.session, Moment(datetime.now(UTC), 100.0 * number))
    return found


def test_it_is_found_with_its_text_and_without_its_data(finding: Finding) -> None:
    assert (finding.level, finding.database) == (Level.WARNING, "postgres")
    assert finding.value is not None
    assert finding.value >= 0.06  # it sleeps that long
    assert finding.evidence.blocks[0].text == (
        "SELECT work.known($1), pg_sleep($2) FROM pg_class WHERE relname = $3"
    )
    assert "may wait" in finding.evidence.cause


def test_every_command_that_it_suggests_works_as_it_stands(finding: Finding, watched: Watched) -> None:
    commands = [step.sql for step in finding.steps if step.sql]
    assert commands
    for command in commands:
        assert isinstance(watched.run(command), list)
    planned = any(command.startswith("EXPLAIN (GENERIC_PLAN)") for command in commands)
    assert planned is (watched.session.facts.version_num >= 160000)


def test_the_subject_names_the_entry_of_the_server(finding: Finding, watched: Watched) -> None:
    ids = watched.run("SELECT dbid, userid, queryid FROM pg_stat_statements WHERE query LIKE '%pg_sleep%$2%'")
    assert finding.subject in {f"statement {dbid}/{userid}/{queryid}" for dbid, userid, queryid in ids}
