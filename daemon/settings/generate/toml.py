"""Values as TOML writes them."""

import json
from typing import Any

from daemon.settings.describe import KeyDoc

_SAMPLES = {
    "pgvigil-duration": "5m",
    "pgvigil-size": "10MB",
    "pgvigil-percent": 90,
    "path": "/run/secrets/",
    "string": "",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "array": [],
    "object": {},
}


def value_text(value: Any) -> str:
    """`value` (of JSON's types) on one line of TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if abs(value) < 1e6 else str(value)
    if isinstance(value, list):
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{key_text(key)} = {value_text(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key_text(key: str) -> str:
    """`key` bare where TOML allows it, quoted otherwise."""
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)


def sample(doc: KeyDoc) -> Any:
    """A value for a key: its first example, its default, or something of its type."""
    if examples := doc.schema.get("examples"):
        return examples[0]
    if doc.default is not None:
        return doc.default
    option = next((each for each in doc.schema.get("anyOf", ()) if each.get("type") != "null"), doc.schema)
    if "enum" in option:
        return option["enum"][0]
    kind = option.get("format", option.get("type"))
    found = _SAMPLES.get(kind if isinstance(kind, str) else "", "")
    return f"{found}{doc.key.removesuffix('_file')}" if kind == "path" else found
