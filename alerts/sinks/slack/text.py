"""Text as Slack counts and reads it."""

import re
from datetime import datetime

from pgvigil.text import one_line

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Slack has no escape for these: a look-alike is the only sure way to keep them from doing anything.
_LOOKALIKES = str.maketrans({"`": "\u02cb", "*": "\u2217", "~": "\u223c"})
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_EMOJI = re.compile(r":(?=(?:[0-9_+'-]*[a-z][a-z0-9_+'-]*|100|1234):)")
_QUOTE = re.compile(r"^(\s*)>")


def weight(text: str) -> int:
    """How much of Slack's limits a text uses: UTF-16 units after escaping, the more cautious way to count."""
    return units(text) + 4 * text.count("&") + 3 * text.count("<") + 3 * text.count(">")


def units(text: str) -> int:
    """UTF-16 units of a text as it stands."""
    return len(text.encode("utf-16-le", "replace")) // 2


def fit(text: str, limit: int) -> str:
    """One printable line whose weight is at most `limit`; a cut is shown by an ellipsis."""
    line = one_line(text[: 4 * limit], max(limit, 1))
    if weight(line) <= limit:
        return line
    total = 0
    for index, char in enumerate(line):
        total += weight(char)
        if total > limit - 1:
            return line[:index].rstrip() + "…"
    return line


def escape(text: str) -> str:
    """The three characters that Slack reads in any text."""
    return "".join(_ESCAPES.get(char, char) for char in text)


def mrkdwn(text: str, limit: int = 3000) -> str:
    """Hostile text for a place that Slack reads as mrkdwn: nothing in it formats, mentions, links or quotes.

    One line. Formatting characters become look-alikes, so what is to be copied belongs in a literal block.
    """
    plain = fit(text, limit).translate(_LOOKALIKES)
    plain = _EDGE_UNDERSCORE.sub("\u02cd", plain)
    plain = _EMOJI.sub("\u2236", plain)
    plain = _QUOTE.sub("\\1\u203a", plain).replace("://", ":\u2215\u2215")
    return escape(plain)


def moment(at: datetime, fallback: str) -> str:
    """A stamp that each reader sees in their own time zone; `fallback` is ours, for those who cannot."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time_secs}}|{escape(fallback)}>"


def fence(text: str) -> str:
    """Literal text between mrkdwn's triple backticks; the text itself can neither end nor escape them."""
    return f"```{escape(text.replace('`', chr(0x2CB)))}```"
