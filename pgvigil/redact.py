"""Takes secrets out of free text: the last line of defence, behind types that never show them."""

import re

MASK = "********"

_SECRET_NAME = re.compile(r"password|passwd|secret|token|webhook", re.IGNORECASE)

_PATTERNS = (
    # scheme://user:password@host
    (
        re.compile(r"(?P<keep>[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s/'\"]+(?=@)", re.IGNORECASE),
        rf"\g<keep>{MASK}",
    ),
    # password=..., "token": "...", sslpassword = '...'
    (
        re.compile(
            r"(?P<keep>\b\w*(?:password|passwd|secret|token)\w*(?<!_file)(?<!_command)['\"]?\s*[=:]\s*)"
            r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^\s,;&'\"}\]]+)",
            re.IGNORECASE,
        ),
        rf"\g<keep>{MASK}",
    ),
    (re.compile(r"\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{6,}"), MASK),  # Slack's tokens
    (re.compile(r"hooks\.slack(?:-gov)?\.com/[^\s'\"<>|]+"), f"hooks.slack.com/{MASK}"),
    (re.compile(r"(?P<keep>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\g<keep>{MASK}"),
)


def redact(text: str) -> str:
    """`text` without the passwords, tokens and webhook paths that can be told by their shape."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether what bears this name is a secret; `password_file` and its like hold only a path."""
    return _SECRET_NAME.search(name) is not None and not name.endswith("_file")
