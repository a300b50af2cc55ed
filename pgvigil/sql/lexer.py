"""PostgreSQL's own lexer and grammar, asked carefully: any text, bounded time, no exception."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

LEXED_CHARS = 16_384  # what is lexed of a text, however long it is: twice what is ever shown of one
PARSED_CHARS = 65_536  # what the grammar is given; the depth of its recursion is measured to fit any stack
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")  # what UTF-8 or a C string cannot carry
# Flex reads the rest of the text again at every `/*` inside a comment: 32,000 of them took ten seconds.
_MANY_COMMENTS = re.compile(r"(?:.*?/\*){200}", re.DOTALL)
_FILLER = "\ufffd"  # one character, like those it stands for, and to the lexer a letter


class Kind(Enum):
    LITERAL = "literal"
    COMMENT = "comment"
    PARAMETER = "parameter"
    NAME = "name"
    KEYWORD = "keyword"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """`start` and `end` count characters."""

    kind: Kind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lexed:
    """The tokens of the part of a text that could be lexed; `complete` says that it is all of it."""

    text: str
    tokens: tuple[Token, ...]
    complete: bool


@cache
def parser() -> ModuleType:
    """The parser's library, loaded when it is first needed: it is 14 MB that most processes never use."""
    return import_module("postgast")


@cache
def _kinds() -> dict[int, Kind]:
    """From the lexer's token numbers to the few kinds that matter here."""
    number = parser().pg_query_pb2.Token.Value
    literals = ("ICONST", "FCONST", "SCONST", "USCONST", "BCONST", "XCONST")
    return {
        **{number(name): Kind.LITERAL for name in literals},
        number("SQL_COMMENT"): Kind.COMMENT,
        number("C_COMMENT"): Kind.COMMENT,
        number("PARAM"): Kind.PARAMETER,
        number("IDENT"): Kind.NAME,
        number("UIDENT"): Kind.NAME,
    }


def fit(text: str, limit: int) -> str:
    """The part of `text` that is read, with what a parser cannot be given replaced one for one."""
    fitting = _NOT_TEXT.sub(_FILLER, text[:limit])
    hostile = _MANY_COMMENTS.match(fitting)
    return fitting if hostile is None else fitting[: hostile.end()]


def lex(text: str) -> Lexed:
    """The tokens of `text`, up to where its lexical structure is no longer certain.

    An open quote or comment, or a malformed escape, ends it: behind that point nobody can tell what is data.
    """
    certain = fit(text, LEXED_CHARS)
    for _ in range(3):  # an error inside a string is reported where it is: the string itself opens earlier
        try:
            tokens = _scan(certain)
        except parser().PgQueryError as error:
            certain = certain[: max(error.cursorpos - 1, 0)]
        else:
            return Lexed(certain, tokens, len(certain) == len(text))
    return Lexed("", (), complete=False)


def _scan(text: str) -> tuple[Token, ...]:
    data = text.encode()
    at = 0  # characters before the byte `position`: the lexer counts bytes
    position = 0
    found = []
    for raw in parser().scan(text).tokens:
        at += len(data[position : raw.start].decode())
        word = data[raw.start : raw.end].decode()
        position = raw.end
        found.append(Token(_kind(raw), word, at, at + len(word)))
        at += len(word)
    return tuple(found)


def _kind(raw: Any) -> Kind:
    return _kinds().get(raw.token, Kind.KEYWORD if raw.keyword_kind else Kind.SYMBOL)


def grammar_error(text: str) -> int | None:
    """Where (in characters) `text` stops to be a statement; None when the grammar accepts it whole.

    The end of `text` is an answer too: it is then the beginning of a statement.
    """
    try:
        parser().fingerprint(text)
    except parser().PgQueryError as error:
        position: int = error.cursorpos
        return max(position - 1, 0)
    return None
