"""Names and texts in commands that people copy keep their meaning, whatever characters they hold."""

import pytest

from pgvigil.sql.identifiers import quote_identifier, quote_name, quote_regclass, quote_text, readable


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


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ('DROP INDEX public."Plain One"', 'DROP INDEX public."Plain One"'),
        ('DROP INDEX "a\u202e""b\\"', 'DROP INDEX U&"a\\202E""b\\\\"'),
        ("SELECT 'it''s\n'", "SELECT U&'it''s\\000A'"),
        ("SELECT E'a\\\\\u202eb', \"c\u202ed\"", "SELECT E'a\\\\\\u202Eb', U&\"c\\202Ed\""),
        ("SELECT E'\U000e0001'", "SELECT E'\\U000E0001'"),
        ("SELECT '\"\u202e', \"'\"", "SELECT U&'\"\\202E', \"'\""),
    ],
)
def test_what_a_server_quoted_is_written_out(sql: str, shown: str) -> None:
    assert readable(sql) == shown
