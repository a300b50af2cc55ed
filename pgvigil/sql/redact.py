"""Statement texts without the data in them. Whatever is not certain is not shown."""

import re
from collections.abc import Iterable, Iterator

from pgvigil.sql.lexer import Kind, Lexed, Token, grammar_error, lex
from pgvigil.sql.statement import fingerprint
from pgvigil.text import printable

TEXT_CHARS = 8_000  # what is kept of one text: pganalyze and others cap at 4 to 8 kB
_CUT = "…"
_MORE = "/*, ... */"  # what a server from 18 on writes in place of the rest of a list: not data
_REPAIRS = 8
# A server that runs with standard_conforming_strings = off sees `'a\'b'` as one string, the lexer as two.
_BACKSLASH_QUOTE = re.compile(r"n?'.*\\'", re.IGNORECASE | re.DOTALL)
_LINE_ENDS = re.compile(r"[ \t]*\n(?:[ \t]*\n)*")  # trailing spaces and empty lines, such as comments leave


def redact(text: str, limit: int = TEXT_CHARS) -> str:
    """`text` with every literal as `$n` and without comments, at most `limit` characters, printable.

    A text that is cut, damaged or of another grammar is shown up to where it is certain, then `…`; where
    nothing is certain a description stands in its place. Never raises.
    """
    lexed, parsed = _certain(text)
    shown = _LINE_ENDS.sub("\n", printable("".join(_redacted(lexed)))).strip()
    if not shown:
        return _described(text) if text.strip() else ""
    if len(shown) > limit:
        return shown[: limit - 2].rstrip() + " " + _CUT
    return shown if parsed else f"{shown} {_CUT}"


def _described(text: str) -> str:
    known = fingerprint(text)
    return f"(statement of {len(text):,} characters, fingerprint {known or 'unknown'})"


def _certain(text: str) -> tuple[Lexed, bool]:
    """The part of `text` whose tokens are certainly what they look like, and whether that is all of it."""
    lexed = lex(text)
    doubt = next((token.start for token in lexed.tokens if _ambiguous(token)), None)
    error = _grammar_error(lexed)
    ends = [end for end in (doubt, error) if end is not None]
    if not ends:
        return lexed, lexed.complete
    end = min(ends)
    kept = tuple(token for token in lexed.tokens if token.end <= end)
    return Lexed(lexed.text[:end], kept, complete=False), False


def _ambiguous(token: Token) -> bool:
    return token.kind is Kind.LITERAL and _BACKSLASH_QUOTE.match(token.text) is not None


def _grammar_error(lexed: Lexed) -> int | None:
    """Where the grammar stops. The server writes `$1` also where its own grammar wants a number or a name
    (`FETCH $1 IN c`, `SAVEPOINT $1`): there both are tried before the text is given up.
    """
    parameters = {token.start: token for token in lexed.tokens if token.kind is Kind.PARAMETER}
    text = lexed.text
    for _ in range(_REPAIRS):
        error = grammar_error(text)
        token = parameters.get(error) if error is not None else None
        if error is None or token is None or text[error] == "x":
            return error
        filler = "1" if text[error] == "$" else "x"
        text = text[: token.start] + filler * len(token.text) + text[token.end :]
    return grammar_error(text)


def _redacted(lexed: Lexed) -> Iterator[str]:
    """The pieces of the shown text: tokens, and the white space between them as it was."""
    number = _highest_parameter(lexed.tokens)
    position = 0
    hidden = _settings(lexed.tokens)
    for token in lexed.tokens:
        gap = lexed.text[position : token.start]
        position = token.end
        yield gap
        if token.kind is Kind.COMMENT:
            yield _MORE if token.text == _MORE else "" if gap else " "
        elif token.kind is Kind.LITERAL or token.start in hidden:
            number += 1
            yield f"${number}"
        else:
            yield token.text


def _highest_parameter(tokens: Iterable[Token]) -> int:
    return max((int(t.text[1:]) for t in tokens if t.kind is Kind.PARAMETER), default=0)


def _settings(tokens: Iterable[Token]) -> frozenset[int]:
    """Where the bare words stand that are values: `SET app.token = abc123` has data without any quote."""
    hidden: set[int] = set()
    first = ""  # of the statement
    value = False
    for token in tokens:
        word = token.text.lower()
        if word == ";":
            first, value = "", False
        elif not first and token.kind is not Kind.COMMENT:
            first = word
        elif first in ("set", "alter"):
            value = value or word in ("to", "=")
            if value and token.kind is Kind.NAME:
                hidden.add(token.start)
    return frozenset(hidden)
