"""What is granted, tier by tier, and the one grant that an error asks for."""

import pytest

from pgvigil.sql.grants import Tier, grant_after, grants, script

SCHEMAS = {"pg_stat_statements": "Stats", "pg_stat": "wrong", "plpgsql": "pg_catalog"}


def test_a_closed_schema_is_opened_for_the_role() -> None:
    granted = grant_after("permission denied for schema Stats", "pg vigil")
    assert granted == 'GRANT USAGE ON SCHEMA "Stats" TO "pg vigil"'


def test_a_closed_database_is_opened_for_the_role() -> None:
    granted = grant_after("permission denied for database shop", "pgvigil")
    assert granted == "GRANT CONNECT ON DATABASE shop TO pgvigil"


@pytest.mark.parametrize(
    ("denied", "granted"),
    [
        ("function pg_stat_statements", 'EXECUTE ON FUNCTION "Stats".pg_stat_statements'),
        ("function pg_stat_statements_info", 'EXECUTE ON FUNCTION "Stats".pg_stat_statements_info'),
        ("view pg_stat_statements_info", 'SELECT ON "Stats".pg_stat_statements_info'),
        ("function pg_blocking_pids", "EXECUTE ON FUNCTION pg_catalog.pg_blocking_pids"),
        ("table pg_constraint", "SELECT ON pg_catalog.pg_constraint"),
    ],
)
def test_what_is_denied_is_in_the_catalog_or_belongs_to_an_extension(denied: str, granted: str) -> None:
    """The server names neither schema nor arguments; functions that pgvigil calls have one form each."""
    assert grant_after(f"permission denied for {denied}", "pgvigil", SCHEMAS) == f"GRANT {granted} TO pgvigil"


def test_nothing_is_guessed() -> None:
    """Without the extensions' schemas, and of a server that speaks another language."""
    assert grant_after("permission denied for view pg_stat_statements", "pgvigil") is None
    assert grant_after("keine Berechtigung für Schema public", "pgvigil", SCHEMAS) is None


def test_each_tier_includes_the_ones_before_it() -> None:
    watch, plans, integrity = (grants(tier, "pgvigil") for tier in Tier)
    assert plans[: len(watch)] == watch
    assert integrity[: len(plans)] == plans
    assert "pg_read_all_data" not in script(Tier.WATCH, "pgvigil")
    assert "amcheck" not in script(Tier.PLANS, "pgvigil")
    assert "amcheck" in script(Tier.INTEGRITY, "pgvigil")


def test_every_statement_says_why_and_nothing_makes_a_superuser() -> None:
    for grant in grants(Tier.INTEGRITY, "pgvigil"):
        assert grant.why
        assert grant.sql.endswith(";")
        assert "SUPERUSER" not in grant.sql
        assert "BYPASSRLS" not in grant.sql


@pytest.mark.parametrize("name", ["x\nDROP ROLE postgres", "x\r\\! id", "\u202eevil", "$grants$", 'a"b'])
def test_a_name_never_begins_a_line_of_its_own(name: str) -> None:
    """Psql runs what begins with a backslash, and a comment ends with its line."""
    text = script(Tier.INTEGRITY, name, [name])
    lines = text.splitlines()
    commands = [line for line in lines if line.startswith("\\")]
    assert {line.split()[0] for line in commands} <= {"\\connect", "\\encoding"}
    assert not any(line.startswith(("DROP", "evil")) for line in lines)
    assert all(char.isprintable() or char == "\n" for char in text)
