"""Slack's blocks as plain dicts. slack-sdk's classes check late or not at all, so the limits are kept here.

Text in `rich_text` is literal: Slack reads no markup in it. `mrkdwn` texts are `verbatim`: Slack makes no links
of what looks like an address, a channel or a name.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from alerts.sinks.slack.text import units, weight

Block = dict[str, Any]

SECTION_LIMIT = 3000
HEADER_LIMIT = 150
FIELDS_LIMIT = 10
LITERAL_LIMIT = 2900

_MENTION = re.compile(r"<!(here|channel|everyone)>|<!subteam\^(\w+)(?:\|[^<>]*)?>|<@([UW]\w+)(?:\|[^<>]*)?>")


def header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}


def section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def fields(texts: Iterable[str]) -> Block:
    return {"type": "section", "fields": [_mrkdwn(text) for text in texts]}


def context(texts: Iterable[str]) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text) for text in texts]}


def rich(*elements: Block) -> Block:
    return {"type": "rich_text", "elements": list(elements)}


def line(*children: Block) -> Block:
    return {"type": "rich_text_section", "elements": list(children)}


def literal(text: str) -> Block:
    """A block in a fixed-width font."""
    return {"type": "rich_text_preformatted", "elements": [plain(text)]}


def bullets(texts: Iterable[str]) -> Block:
    return items([plain(text)] for text in texts)


def items(texts: Iterable[list[Block]]) -> Block:
    """Bullets of more than plain text."""
    return {"type": "rich_text_list", "style": "bullet", "elements": [line(*text) for text in texts]}


def link(url: str, text: str) -> Block:
    return {"type": "link", "url": url, "text": text}


def plain(text: str) -> Block:
    return {"type": "text", "text": text}


def bold(text: str) -> Block:
    return {"type": "text", "text": text, "style": {"bold": True}}


def mentions(configured: str) -> Iterator[Block]:
    """The mentions of a route as elements of rich text; what is not a mention by id is left out."""
    for match in _MENTION.finditer(configured[:500]):
        whole, group, user = match.groups()
        if whole:
            yield {"type": "broadcast", "range": whole}
        elif group:
            yield {"type": "usergroup", "usergroup_id": group}
        else:
            yield {"type": "user", "user_id": user}
        yield plain(" ")


def mention_text(configured: str) -> str:
    """The same for a text that Slack reads as mrkdwn."""
    return " ".join(match[0] for match in _MENTION.finditer(configured[:500]))


def used(node: Any) -> int:
    """How much of the budget of a message a tree of blocks uses."""
    if isinstance(node, list):
        return sum(map(used, node))
    if not isinstance(node, dict):
        return 0
    own = node.get("text")
    escaped = node.get("type") == "mrkdwn"
    here = (units(own) if escaped else weight(own)) if isinstance(own, str) else 0
    return here + sum(used(value) for value in node.values() if isinstance(value, dict | list))


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
