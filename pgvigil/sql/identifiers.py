"""Names and texts written into SQL that people will copy. Queries of our own bind values instead."""

import re

from pgvigil.text import is_printable

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

# What quote_ident() and quote_literal() write: "a""b", 'a''b', E'a\\\\b'.
_QUOTED_PART = re.compile(r"""E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*\"""", re.DOTALL)

# pg_get_keywords() of PostgreSQL 18 where catcode is not 'U': what quote_ident() quotes.
_NOT_UNRESERVED = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
    boolean both case cast char character check coalesce collate collation column concurrently
    constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user dec decimal default deferrable desc distinct do else end except
    exists extract false fetch float for foreign freeze from full grant greatest group grouping
    having ilike in initially inner inout int integer intersect interval into is isnull join json
    json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar
    json_serialize json_table json_value lateral leading least left like limit localtime
    localtimestamp merge_action national natural nchar none normalize not notnull null nullif
    numeric offset on only or order out outer overlaps overlay placing position precision primary
    real references returning right row select session_user setof similar smallint some substring
    symmetric system_user table tablesample then time timestamp to trailing treat trim true union
    unique user using values varchar variadic verbose when where window with xmlattributes
    xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
    xmltable
"""
_KEYWORDS = frozenset(_NOT_UNRESERVED.split())


def quote_identifier(name: str) -> str:
    """`name` as quote_ident() writes it; with invisible characters as `U&"..."`, so that it can be read.

    `U&` needs standard_conforming_strings, which is on unless somebody turned it off.
    """
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return _quoted(name, '"')


def quote_name(*parts: str) -> str:
    """A qualified name: `quote_name("public", "Orders")` is `public."Orders"`."""
    return ".".join(quote_identifier(part) for part in parts)


def quote_regclass(*parts: str) -> str:
    """A qualified name as a string constant to be cast to regclass, which knows no `U&` of its own."""
    return quote_text(".".join('"' + part.replace('"', '""') + '"' for part in parts))


def quote_text(text: str) -> str:
    """`text` as a string constant."""
    return _quoted(text, "'")


def readable(sql: str) -> str:
    """SQL in which a server quoted the names and texts, with their invisible characters written out."""
    return _QUOTED_PART.sub(lambda part: _written_out(part[0]), sql)


def _written_out(part: str) -> str:
    if all(map(is_printable, part)):
        return part
    if part.startswith("E"):
        return "".join(char if is_printable(char) else _in_e_string(char) for char in part)
    mark = part[0]
    return _quoted(part[1:-1].replace(mark * 2, mark), mark)


def _in_e_string(char: str) -> str:
    return f"\\u{ord(char):04X}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08X}"


def _quoted(text: str, mark: str) -> str:
    if all(map(is_printable, text)):
        return mark + text.replace(mark, mark * 2) + mark
    return "U&" + mark + "".join(_escaped(char, mark) for char in text) + mark


def _escaped(char: str, mark: str) -> str:
    if char in (mark, "\\"):
        return char * 2
    if is_printable(char):
        return char
    return f"\\{ord(char):04X}" if ord(char) <= 0xFFFF else f"\\+{ord(char):06X}"
