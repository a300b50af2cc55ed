"""What the fake refuses of a form, and the answers that Slack takes when somebody sends one.

Sources: Slack's reference of views, of input blocks and their elements, and the errors of views.open.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from daemon.demo.fake_slack_validate import SlackFailure, check_blocks, check_options, check_text

TRIGGER_S = 3.0
_INPUTS = frozenset({"plain_text_input", "static_select"})


def check_view(view: Any) -> None:
    """Raises SlackFailure where Slack would not open it."""
    errors = list(_errors(view)) if isinstance(view, dict) else ["must provide an object"]
    if errors:
        raise SlackFailure(
            "invalid_arguments", *(f"[ERROR] {error} [json-pointer:/view]" for error in errors)
        )
    check_blocks(view["blocks"], more={"input": _input})


def _errors(view: Mapping[str, Any]) -> Iterator[str]:
    if view.get("type") != "modal":
        yield "type must be modal"
    for key in ("title", "submit", "close"):
        yield from check_text(view.get(key), 24, ("plain_text",))
    for key, limit in (("callback_id", 255), ("private_metadata", 3000)):
        if not isinstance(view.get(key, ""), str) or len(view.get(key, "")) > limit:
            yield f"{key}: at most {limit} characters"
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= 100:
        yield "blocks: 1 to 100 items allowed"


def _input(block: dict[str, Any]) -> Iterator[str]:
    yield from check_text(block.get("label"), 2000, ("plain_text",))
    if "hint" in block:
        yield from check_text(block["hint"], 2000, ("plain_text",))
    element = block.get("element")
    if not isinstance(element, dict) or element.get("type") not in _INPUTS:
        yield "element: unsupported type"
        return
    yield from _ELEMENTS[element["type"]](element)
    if not isinstance(block.get("optional", False), bool):
        yield "optional must be a boolean"


def _plain_text_input(element: dict[str, Any]) -> Iterator[str]:
    most = element.get("max_length", 3000)
    if not 1 <= most <= 3000:
        yield "max_length: 1 to 3000"
    if len(element.get("initial_value", "")) > most:
        yield "initial_value is longer than max_length"
    if "placeholder" in element:
        yield from check_text(element["placeholder"], 150, ("plain_text",))


def _static_select(element: dict[str, Any]) -> Iterator[str]:
    yield from check_options(element)
    if "initial_option" in element and element["initial_option"] not in element.get("options", ()):
        yield "initial_option must be one of the options"


_ELEMENTS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "plain_text_input": _plain_text_input,
    "static_select": _static_select,
}


def check_answer(view: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Raises SlackFailure where Slack would not show the errors that a form was answered with."""
    errors = answer.get("errors")
    known = {block.get("block_id") for block in view["blocks"] if block["type"] == "input"}
    if answer.get("response_action") != "errors" or not isinstance(errors, dict) or not errors:
        raise SlackFailure("invalid_response_action")
    if not errors.keys() <= known or not all(isinstance(text, str) and text for text in errors.values()):
        raise SlackFailure("invalid_errors")
