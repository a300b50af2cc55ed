"""What Slack's client would show of a message, as plain text for a terminal, and what in it is alive."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from daemon.demo.fake_slack_validate import unescaped

_ANGLE = re.compile(r"<([^<>]+)>")
_BARE_LINK = re.compile(r"https?://[^\s<>|]+")
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_STYLED = re.compile(r"(?<![\w`])([*_~`])(?=\S)([^\n]*?\S)\1(?!\w)")


def as_text(message: Mapping[str, Any]) -> str:
    """The message as Slack would show it: blocks where there are any, the text otherwise."""
    blocks = message.get("blocks") or ()
    lines = [line for block in blocks for line in _block(block)] if blocks else [_mrkdwn(message["text"])]
    body = "\n".join(lines)
    if message.get("edited"):
        body += "\n(edited)"
    return _indented("↳ ", body) if message.get("thread_ts") else body


def notification(message: Mapping[str, Any]) -> str:
    """What a phone shows on its lock screen."""
    return _mrkdwn(str(message.get("text", "")))


def mentions(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Whom the message calls: `<!here>`, `<@U1>`, `<!subteam^S1>`, wherever Slack would act on them."""
    return tuple(found for found in _alive(message) if found[1] in "!@" and not found.startswith("<!date"))


def links(message: Mapping[str, Any]) -> tuple[str, ...]:
    """What would be clickable."""
    return tuple(found for found in _alive(message) if found[1] not in "!@#")


def styled(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Text that mrkdwn shows bold, italic, struck or as code within a line."""
    prose = (_FENCE.sub(" ", text) for text, _ in _mrkdwn_texts(message))
    return tuple(match[0] for text in prose for match in _STYLED.finditer(text))


def _mrkdwn_texts(message: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each text that Slack reads as mrkdwn, and whether it also makes links of bare addresses."""
    yield str(message.get("text", "")), True
    for node in _nodes(message.get("blocks") or []):
        if node.get("type") == "mrkdwn":
            yield node["text"], not node.get("verbatim")


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item)
    elif isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)


def _alive(message: Mapping[str, Any]) -> Iterator[str]:
    for text, makes_links in _mrkdwn_texts(message):
        yield from (match[0] for match in _ANGLE.finditer(text))
        if makes_links:
            bare = _FENCE.sub("", _ANGLE.sub("", text))  # no links are made within code
            yield from (f"<{match[0]}>" for match in _BARE_LINK.finditer(bare))
    for node in _nodes(message.get("blocks") or []):
        kind = node.get("type")
        if kind == "broadcast":
            yield f"<!{node['range']}>"
        elif kind == "usergroup":
            yield f"<!subteam^{node['usergroup_id']}>"
        elif kind == "user":
            yield f"<@{node['user_id']}>"
        elif kind == "link":
            yield f"<{node['url']}>"


def _angle(match: re.Match[str]) -> str:
    target, _, label = match[1].partition("|")
    if label:
        return f"{label} ({target})" if target[0] not in "!@#" else label
    return re.sub(r"^[!@#](subteam\^)?", "@", target)


def _mrkdwn(text: str) -> str:
    parts = _ANGLE.sub(_angle, text).split("```")
    parts[::2] = [_STYLED.sub(lambda match: match[2], prose) for prose in parts[::2]]
    return unescaped("".join(parts))


def _object(value: Mapping[str, Any]) -> str:
    return _mrkdwn(value["text"]) if value["type"] == "mrkdwn" else str(value["text"])


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "header":
            yield block["text"]["text"]
            yield "─" * min(len(block["text"]["text"]) + 1, 72)
        case "section":
            if "text" in block:
                yield _object(block["text"])
            yield from _columns([_object(field).replace("\n", ": ") for field in block.get("fields", ())])
        case "context":
            yield "· " + "  ".join(_object(element) for element in block["elements"])
        case "rich_text":
            for element in block["elements"]:
                yield from _rich(element)
        case "actions":
            yield " ".join(
                f"[{_object(element.get('text') or element['placeholder'])}]" for element in block["elements"]
            )
        case "divider":
            yield "─" * 40


def _columns(fields: list[str]) -> Iterator[str]:
    """Two beside each other where both are short, as Slack does on a wide screen."""
    rest = list(fields)
    while rest:
        left = rest.pop(0)
        if rest and len(left) <= 38 and len(rest[0]) <= 38:
            left = f"{left:<38}  {rest.pop(0)}"
        yield left


def _rich(element: Mapping[str, Any]) -> Iterator[str]:
    match element["type"]:
        case "rich_text_preformatted":
            yield _indented("│ ", "".join(map(_inline, element["elements"])))
        case "rich_text_list":
            for item in element["elements"]:
                yield "• " + "".join(map(_inline, item["elements"]))
        case _:
            yield "".join(map(_inline, element["elements"])).rstrip("\n")


def _inline(child: Mapping[str, Any]) -> str:
    match child["type"]:
        case "text":
            return str(child["text"])
        case "link":
            return f"{child.get('text', '')} ({child['url']})".strip()
        case "broadcast":
            return f"@{child['range']}"
        case "usergroup":
            return f"@{child['usergroup_id']}"
        case "user":
            return f"@{child['user_id']}"
    return f":{child.get('name', child['type'])}:"


def _indented(prefix: str, text: str) -> str:
    return "\n".join(prefix + line for line in text.split("\n"))
