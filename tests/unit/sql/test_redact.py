"""No literal survives: whole, cut anywhere, hostile or damaged texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgvigil.sql.redact import TEXT_CHARS, redact
from pgvigil.text import is_printable

SECRET = "s3cr3t7value"
NUMBER = "4111222233334444"

LITERALS = (
    f"'{SECRET}'",
    f"'it''s {SECRET}'",
    f"E'\\'{SECRET}\\n'",
    f"U&'\\0061{SECRET}'",
    f"N'{SECRET}'",
    f"$${SECRET}$$",
    f"$tag$ $$ {SECRET} '$tag$",
    f"'a'\n'{SECRET}'",
    NUMBER,
    f"-{NUMBER}.25e3",
    f"'é' || '{SECRET}'",
    "X'4111222233334444'",
    f"$1 /* {SECRET} /* nested */ {SECRET} */",
    f"$1 -- {SECRET}\n",
)
SHAPES = (
    "SELECT a, b FROM t WHERE x = {} AND y > {}",
    "INSERT INTO t (a, b) VALUES ({}, {}) ON CONFLICT DO NOTHING",
    "UPDATE t SET a = {} WHERE b IN ({}, 1)",
    "SELECT * FROM f({}) WHERE EXISTS (SELECT 1 FROM u WHERE u.v = {})",
    "WITH w AS (SELECT {} AS a) SELECT * FROM w, t LIMIT 10 OFFSET 2 + {}",
    "/* first */ SELECT {}; DELETE FROM t WHERE a = {}",
)

statements = st.builds(
    lambda shape, one, two: shape.format(one, two),
    st.sampled_from(SHAPES),
    st.sampled_from(LITERALS),
    st.sampled_from(LITERALS),
)


def assert_clean(shown: str) -> None:
    assert SECRET not in shown
    assert not any(piece in shown for piece in ("s3c", "cr3t", "alue", "4111", "3334", "nested"))


@given(statements)
def test_no_literal_of_a_whole_statement_survives_and_its_names_do(text: str) -> None:
    shown = redact(text)
    assert_clean(shown)
    assert not shown.endswith("…")
    assert "FROM t" in shown or "INTO t" in shown or "UPDATE t" in shown or "w, t" in shown or "u.v" in shown


@given(statements, st.data())
def test_no_literal_survives_a_cut_at_any_place(text: str, data: st.DataObject) -> None:
    """The server cuts the text of an activity at track_activity_query_size."""
    assert_clean(redact(text[: data.draw(st.integers(0, len(text)))]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SET app.token = s3cr3t7value", "SET app.token = $1"),
        ("ALTER ROLE r SET app.token TO s3cr3t7value, alue", "ALTER ROLE r SET app.token TO $1, $2"),
        ("ALTER USER r PASSWORD 's3cr3t7value'", "ALTER USER r PASSWORD $1"),
        ("COMMENT ON TABLE t IS 's3cr3t7value'", "COMMENT ON TABLE t IS $1"),
        ("EXECUTE p('s3cr3t7value', 4111)", "EXECUTE p($1, $2)"),
        ("CREATE TABLE t (a text DEFAULT 's3cr3t7value')", "CREATE TABLE t (a text DEFAULT $1)"),
        ("COPY t FROM PROGRAM 'cat s3cr3t7value'", "COPY t FROM PROGRAM $1"),
        ("DO $$ BEGIN x := 's3cr3t7value'; END $$", "DO $1"),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'alue')", None),
        ("NOTIFY c, 's3cr3t7value'", "NOTIFY c, $1"),
    ],
)
def test_literals_that_the_server_itself_leaves_in_utility_statements_go(
    text: str, shown: str | None
) -> None:
    assert_clean(redact(text))
    assert shown is None or redact(text) == shown


@pytest.mark.parametrize("text", ["UPDATE t SET a = b", "UPDATE t SET a = b FROM c WHERE t.d = c.e"])
def test_assignments_between_columns_are_not_settings(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'a\\'s3cr3t7value', 'b'",  # one string on a server with standard_conforming_strings off
        "SELECT 'a\\'' s3cr3t7value ''",
        "SELECT * FROM t WHERE name = 'O'Brien s3cr3t7value' AND b = 'x'",
        "SELECT * FROM t WHERE name = s3cr3t7value' AND b = 'x' y'",
        "SELECT 1abc s3cr3t7value",
    ],
)
def test_behind_a_doubtful_quote_nothing_is_shown(text: str) -> None:
    shown = redact(text)
    assert shown.endswith("…")
    assert "Brien" not in shown
    assert text.index("s3cr3t7value") > text.index("name") if "= s3c" in text else SECRET not in shown


def test_a_text_of_which_nothing_is_certain_is_described() -> None:
    assert redact("'s3cr3t7value") == "(statement of 13 characters, fingerprint unknown)"
    assert redact("  ") == ""


@pytest.mark.parametrize(
    "text",
    [
        "FETCH $1 IN c",
        "SAVEPOINT $1",
        "SELECT now() - interval $1",
        "SELECT a FROM t WHERE b IN ($1 /*, ... */)",
        "INSERT INTO t VALUES ($1,$2),($3,$4)",
        "SELECT $1::text || $2",
    ],
)
def test_what_the_server_normalised_is_shown_whole(text: str) -> None:
    assert redact(text) == text


def test_new_parameters_continue_those_of_the_text() -> None:
    assert redact("SELECT $2, 'x', $1, 5") == "SELECT $2, $3, $1, $4"


def test_layout_stays_without_empty_lines_and_trailing_blanks() -> None:
    assert redact("SELECT a, -- x\n\n   b \n FROM t") == "SELECT a,\n   b\n FROM t"


@given(st.text(alphabet=st.characters() | st.sampled_from("'\"$/*-;\\\x00\ud800()eEuU&1"), max_size=300))
def test_any_text_gives_printable_text_of_bounded_length(text: str) -> None:
    shown = redact(text, 100)
    assert len(shown) <= 100
    assert all(is_printable(char) or char == "\n" for char in shown)


HOSTILE = {
    "a string of 5 MB": "SELECT '" + "x" * 5_000_000 + "'",
    "5 MB of columns": "SELECT " + "a," * 2_500_000 + "1",
    "5 MB of brackets": "(" * 5_000_000,
    "5 MB of nested comments": "/*" * 2_500_000,
    "5 MB of quotes": "'" * 5_000_000,
    "deep left recursion": "SELECT " + "1+" * 30_000 + "1",
    "deep right recursion": "SELECT " + "- " * 30_000 + "1",
    "deep sub-selects": "(SELECT " * 8_000 + "1" + ")" * 8_000,
    "many parameters": "SELECT " + "$1, " * 10_000 + "$2",
    "doubtful everywhere": "SELECT " + "'\\'" * 10_000,
    "errors everywhere": "SELECT e'\\u1' " * 5_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_end_in_a_short_answer(name: str) -> None:
    assert len(redact(HOSTILE[name])) <= TEXT_CHARS
