"""Text from outside, made fit to be shown: no control characters, no bidi tricks, no surprises in length."""

import unicodedata

# Cc control, Cf format (bidi overrides and isolates, zero width), Cs surrogates, Co private use,
# Zl and Zp line and paragraph separators: nothing that moves, hides or reorders its neighbours.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def is_printable(char: str) -> bool:
    """Whether `char` shows as itself, wherever it stands."""
    return unicodedata.category(char) not in _UNPRINTABLE


def printable(text: str) -> str:
    """`text` without unprintable characters; line breaks stay and tabs become spaces, so blocks keep their form."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return "\n".join("".join(filter(is_printable, line)) for line in lines)


def one_line(text: str, limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters; a cut is shown by an ellipsis."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
