"""What Slack refuses: the limits of message content, with Slack's own error names.

Sources: Slack's block kit reference, the constants of slack-sdk 3.47, and bolt-js#2509 for the undocumented limit of
about 13,200 characters over all blocks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

TEXT_LIMIT = 40_000
UPDATE_TEXT_LIMIT = 4_000
BLOCKS_LIMIT = 50
ALL_BLOCKS_LIMIT = 13_200

Errors = Iterator[str]
Check = Callable[[dict[str, Any]], Errors]
_STYLES = frozenset({"bold", "italic", "strike", "code", "underline"})
_PREFORMATTED = frozenset({"text", "link"})
_INLINE = frozenset(
    {"text", "link", "emoji", "user", "usergroup", "broadcast", "channel", "date", "color", "team"}
)


class SlackFailure(Exception):  # noqa: N818 - an answer that Slack gives, not an error of the fake
    """`ok: false` with Slack's error name; `messages` are the details that it gives for blocks."""

    def __init__(self, error: str, *messages: str, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages
        self.extra = extra


def check_content(arguments: Mapping[str, Any], *, text_limit: int = TEXT_LIMIT) -> None:
    """Raises SlackFailure where Slack would refuse the text, blocks or metadata of a message."""
    text, blocks = arguments.get("text") or "", arguments.get("blocks")
    if _lone_surrogate(arguments):
        raise SlackFailure("invalid_json")
    if not isinstance(text, str):
        raise SlackFailure("invalid_arguments", "[ERROR] text must be a string")
    if not text.strip() and not blocks:
        raise SlackFailure("no_text")
    if len(text) > text_limit:
        raise SlackFailure("msg_too_long")
    if blocks is not None:
        check_blocks(blocks)
    if arguments.get("metadata"):
        _check_metadata(arguments["metadata"])


def check_blocks(blocks: Any, *, more: Mapping[str, Check] = MappingProxyType({})) -> None:
    """Raises SlackFailure. `more` are kinds of blocks that stand elsewhere than in messages."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackFailure("invalid_blocks_format")
    errors = [
        f"[ERROR] {message} [json-pointer:/blocks{where}]" for where, message in _all_errors(blocks, more)
    ]
    if errors:
        raise SlackFailure("invalid_blocks", *errors)
    if sum(map(escaped_length, texts(blocks))) > ALL_BLOCKS_LIMIT:
        raise SlackFailure("msg_blocks_too_long")


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise SlackFailure("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise SlackFailure("invalid_metadata_format")


def unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escaped_length(text: str) -> int:
    """UTF-16 units after escaping: the cautious way to count."""
    escaped = unescaped(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return len(escaped.encode("utf-16-le", "surrogatepass")) // 2


def texts(node: Any) -> Iterator[str]:
    """Every displayed text in a tree of blocks."""
    if isinstance(node, list):
        for item in node:
            yield from texts(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "text" and isinstance(value, str):
                yield value
            elif isinstance(value, dict | list):
                yield from texts(value)


def _lone_surrogate(node: Any) -> bool:
    if isinstance(node, str):
        return any("\ud800" <= char <= "\udfff" for char in node)
    if isinstance(node, dict):
        return any(map(_lone_surrogate, node.values()))
    return isinstance(node, list) and any(map(_lone_surrogate, node))


def _all_errors(blocks: Sequence[dict[str, Any]], more: Mapping[str, Check]) -> Iterator[tuple[str, str]]:
    if len(blocks) > BLOCKS_LIMIT:
        yield "", f"no more than {BLOCKS_LIMIT} items allowed"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        yield "", "block_id must be unique"
    for index, block in enumerate(blocks):
        kind = str(block.get("type"))
        check = _BLOCKS.get(kind) or more.get(kind)
        messages = check(block) if check else iter((f"unsupported type: {block.get('type')}",))
        for message in messages:
            yield f"/{index}", message


def check_text(value: Any, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Errors:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        yield f"text must be an object of type {' or '.join(kinds)}"
        return
    text = value.get("text")
    if not isinstance(text, str) or not text:
        yield "must be more than 0 characters"
    elif escaped_length(text) > limit:
        yield f"must be less than {limit + 1} characters"
    if value["type"] == "plain_text" and "verbatim" in value:
        yield "verbatim is only allowed in mrkdwn"
    if value["type"] == "mrkdwn" and "emoji" in value:
        yield "emoji is only allowed in plain_text"


def _header(block: dict[str, Any]) -> Errors:
    yield from check_text(block.get("text"), 150, ("plain_text",))


def _section(block: dict[str, Any]) -> Errors:
    fields = block.get("fields")
    if "text" not in block and not fields:
        yield "text or fields required"
    if "text" in block:
        yield from check_text(block["text"], 3000)
    if fields is not None:
        if not isinstance(fields, list) or not 1 <= len(fields) <= 10:
            yield "no more than 10 items allowed"
            return
        for field in fields:
            yield from check_text(field, 2000)


def _context(block: dict[str, Any]) -> Errors:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 10:
        yield "elements: 1 to 10 items allowed"
        return
    for element in elements:
        if element.get("type") != "image":
            yield from check_text(element, 2000)


def _actions(block: dict[str, Any]) -> Errors:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
        yield "elements: 1 to 25 items allowed"
        return
    for element in elements:
        if element.get("type") == "static_select":
            yield from _select(element)
        else:
            yield from check_text(element.get("text"), 75, ("plain_text",))
        limits = {"value": 2000, "url": 3000, "action_id": 255}
        yield from (f"{key}: too long" for key, n in limits.items() if len(element.get(key, "")) > n)


def _select(element: dict[str, Any]) -> Errors:
    yield from check_text(element.get("placeholder"), 150, ("plain_text",))
    yield from check_options(element)


def check_options(element: dict[str, Any]) -> Errors:
    """What is wrong with the choices of a menu."""
    options = element.get("options")
    if not isinstance(options, list) or not 1 <= len(options) <= 100:
        yield "options: 1 to 100 items allowed"
        return
    for option in options:
        yield from check_text(option.get("text"), 75, ("plain_text",))
        if not 1 <= len(option.get("value", "")) <= 150:
            yield "value: 1 to 150 characters allowed"


def _rich_text(block: dict[str, Any]) -> Errors:
    elements = block.get("elements")
    if not isinstance(elements, list) or not elements:
        yield "elements: at least 1 item required"
        return
    for element in elements:
        yield from _rich_element(element)


def _rich_element(element: dict[str, Any]) -> Errors:
    kind, children = element.get("type"), element.get("elements")
    if kind not in {"rich_text_section", "rich_text_preformatted", "rich_text_quote", "rich_text_list"}:
        yield f"unsupported type: {kind}"
    elif not isinstance(children, list) or not children:
        yield f"{kind}: elements required"
    elif kind == "rich_text_list":
        for child in children:
            yield from _rich_element(child)
    else:
        allowed = _PREFORMATTED if kind == "rich_text_preformatted" else _INLINE
        for child in children:
            yield from _inline(child, allowed)


def _inline(child: dict[str, Any], allowed: frozenset[str]) -> Errors:
    kind = child.get("type")
    if kind not in allowed:
        yield f"unsupported type: {kind}"
    if kind == "text" and not (isinstance(child.get("text"), str) and child["text"]):
        yield "must be more than 0 characters"
    if kind == "text" and len(child.get("text", "")) > 3000:
        yield "must be less than 3001 characters"
    if not set(child.get("style", {})) <= _STYLES:
        yield "unknown style"


def _nothing(_block: dict[str, Any]) -> Errors:
    yield from ()


_BLOCKS: dict[str, Check] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "rich_text": _rich_text,
    "divider": _nothing,
    "image": _nothing,
}
