"""What a statement is, told from its text."""

from pgvigil.sql.lexer import PARSED_CHARS, Kind, fit, lex, parser

MARKER = "/* pgvigil:"  # the beginning of the comment in each query of our own, see `postgres.query`
_MARKER_WITHIN = 100  # it stands right behind the first word


def is_own(text: str) -> bool:
    """Whether the statement is one of pgvigil's."""
    return MARKER in text[:_MARKER_WITHIN]


def fingerprint(text: str) -> str | None:
    """16 hexadecimal digits, equal for statements that differ in data only; None for what does not parse.

    It is libpg_query's fingerprint, the same on every server; it is not the server's queryid.
    """
    whole = fit(text, PARSED_CHARS)
    if len(whole) < len(text):
        return None
    try:
        found: str = parser().fingerprint(whole).hex
    except parser().PgQueryError:
        return None
    return found


def statement_kind(text: str) -> str:
    """The first keyword in capitals (SELECT, ALTER, VACUUM ...); empty when the text begins with none."""
    words = (token for token in lex(text).tokens if token.kind is not Kind.COMMENT)
    first = next((token for token in words if token.text != "("), None)
    return first.text.upper() if first is not None and first.kind is Kind.KEYWORD else ""
