"""Names and texts in commands that people copy keep their meaning, whatever characters they hold."""

import pytest

from pgvigil.sql.identifiers import quote_identifier, quote_name, quote_regclass, quote_text


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("orders", "orders"),
        ("Orders", '"Orders"'),
        ("user", '"user"'),
        ('a"; DROP TABLE b; --', '"a""; DROP TABLE b; --"'),
        ("größe", '"größe"'),
        ("1st", '"1st"'),
        ("", '""'),
        ("a\u202eb", 'U&"a\\202Eb"'),
        ('a\n\\"', 'U&"a\\000A\\\\"""'),
        ("tag\U000e0001", 'U&"tag\\+0E0001"'),
    ],
)
def test_a_name_is_quoted_only_where_it_must_be_and_shows_what_is_invisible(name: str, written: str) -> None:
    assert quote_identifier(name) == written


def test_a_qualified_name_quotes_each_part() -> None:
    assert quote_name("public", "My Table") == 'public."My Table"'


def test_a_name_to_be_cast_has_its_invisible_characters_in_the_constant() -> None:
    assert quote_regclass("public", "a\"'b") == """'"public"."a""''b"'"""
    assert quote_regclass("a\u202e\\") == "U&'\"a\\202E\\\\\"'"


def test_a_text_cannot_leave_its_quotes() -> None:
    assert quote_text("it's \\") == "'it''s \\'"
    assert quote_text("a\u2028'") == "U&'a\\2028'''"
