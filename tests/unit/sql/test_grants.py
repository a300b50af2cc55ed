"""What to grant, by what the server said."""

from pgvigil.sql.grants import grant_after


def test_a_schema_is_named_and_quoted() -> None:
    granted = grant_after("permission denied for schema Stats", "pg vigil")
    assert granted == 'GRANT USAGE ON SCHEMA "Stats" TO "pg vigil"'


def test_where_the_words_do_not_name_the_object_nothing_is_made_up() -> None:
    assert grant_after("permission denied for view pg_stat_statements", "pgvigil") is None
    assert grant_after("keine Berechtigung für Schema public", "pgvigil") is None
