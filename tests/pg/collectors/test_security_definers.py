"""The collector `security_definers` on real servers."""

from collections.abc import Iterator

import pytest

from collectors.security_definers import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.servers import Database

DEFINER = "RETURNS int LANGUAGE sql SECURITY DEFINER"


@pytest.fixture
def owner(each_database: Database) -> Iterator[str]:
    """A role that is no superuser; gone afterwards with all that it owns."""
    name = f"{each_database.name}_owner"
    each_database.execute(f"CREATE ROLE {name}; CREATE SCHEMA own AUTHORIZATION {name}")
    yield name
    each_database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_only_functions_that_look_things_up_by_their_callers_path_are_told(
    reader: Session, each_database: Database
) -> None:
    each_database.execute("CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO PUBLIC")
    each_database.execute(f"CREATE FUNCTION s.open(a int, b text) {DEFINER} AS 'SELECT 1'")
    each_database.execute(f"CREATE FUNCTION s.safe() {DEFINER} SET search_path = s, pg_temp AS 'SELECT 1'")
    each_database.execute("CREATE FUNCTION s.own() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    each_database.execute(f"CREATE FUNCTION s.other() {DEFINER} SET work_mem = '5MB' AS 'SELECT 1'")
    if reader.facts.version_num >= 140000:
        each_database.execute(f"CREATE FUNCTION s.bound() {DEFINER} RETURN 1")
    found = COLLECTOR.read(reader).definers
    assert [(each.name, each.arguments, each.total) for each in found] == [
        ("open", "a integer, b text", 2),
        ("other", "", 2),
    ]
    assert all(each.exposed for each in found)


def test_who_owns_a_function_and_who_may_call_it_decide_what_it_exposes(
    reader: Session, each_database: Database, owner: str
) -> None:
    each_database.execute(f"CREATE SCHEMA shut; CREATE FUNCTION shut.hidden() {DEFINER} AS 'SELECT 1'")
    each_database.execute(f"CREATE FUNCTION public.granted() {DEFINER} AS 'SELECT 1'")
    each_database.execute("REVOKE EXECUTE ON FUNCTION public.granted() FROM PUBLIC")
    each_database.execute(
        f"GRANT USAGE ON SCHEMA own TO PUBLIC; CREATE FUNCTION own.theirs() {DEFINER} AS 'SELECT 1'"
    )
    each_database.execute(f"ALTER FUNCTION own.theirs() OWNER TO {owner}")
    each_database.execute(f"CREATE FUNCTION public.anyone() {DEFINER} AS 'SELECT 1'")
    found = COLLECTOR.read(reader).definers
    assert {each.name: (each.superuser, each.public) for each in found} == {
        "anyone": (True, True),
        "granted": (True, False),
        "hidden": (True, False),
        "theirs": (False, True),
    }
    assert found[0].name == "anyone"


def test_functions_of_extensions_are_not_told(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE EXTENSION pg_stat_statements")
    each_database.execute(f"CREATE FUNCTION public.member() {DEFINER} AS 'SELECT 1'")
    each_database.execute("ALTER EXTENSION pg_stat_statements ADD FUNCTION public.member()")
    assert COLLECTOR.read(reader).definers == ()


def test_schemas_in_which_everyone_may_create_are_told(
    reader: Session, each_database: Database, owner: str
) -> None:
    each_database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    assert COLLECTOR.read(reader).open_schemas == ()
    each_database.execute("GRANT CREATE ON SCHEMA own TO PUBLIC")
    assert COLLECTOR.read(reader).open_schemas == (("own", owner),)
