"""What a statement is, told from its text."""

from typing import NamedTuple

import pytest

from pgvigil.postgres.query import Column, Query
from pgvigil.sql.lexer import lex
from pgvigil.sql.statement import fingerprint, is_own, statement_kind


class Row(NamedTuple):
    a: int


def test_fingerprints_are_equal_for_statements_that_differ_in_data_only() -> None:
    assert fingerprint("SELECT 1 FROM t WHERE a = 'x'") == fingerprint("select 2 from t where a = $1")
    assert fingerprint("SELECT 1 FROM t") != fingerprint("SELECT 1 FROM u")


@pytest.mark.parametrize("text", ["SELECT 'x", "nonsense", "SELECT " + "a," * 40_000 + "a", "\ud800"])
def test_what_does_not_parse_or_is_too_long_has_no_fingerprint(text: str) -> None:
    assert fingerprint(text) is None


def test_our_own_queries_are_known_by_their_marker_and_nobody_elses_are() -> None:
    query = Query(name="x", row=Row, columns=(Column("a", "1"),), source="FROM t")
    assert is_own(query.text(None))  # type: ignore[arg-type]
    assert not is_own("SELECT * FROM notes WHERE body LIKE '%" + " " * 100 + "/* pgvigil:x */%'")
    assert not is_own("SELECT /* pgbouncer */ 1")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("select 1", "SELECT"),
        ("/* a */ -- b\n ( WITH x AS (SELECT 1) SELECT 1)", "WITH"),
        ("alter table t add column", "ALTER"),
        ("", ""),
        ("'x'", ""),
        ("nonsense", ""),
    ],
)
def test_the_kind_is_the_first_keyword(text: str, kind: str) -> None:
    assert statement_kind(text) == kind


def test_tokens_stand_where_the_text_has_them_also_behind_wide_characters() -> None:
    text = "SELECT 'é𝄞', \"ü\" /* ß */, $1"
    assert all(text[token.start : token.end] == token.text for token in lex(text).tokens)
