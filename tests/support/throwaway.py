"""What throw-away servers are that no server should be: fast instead of safe, and of any age."""

from collections.abc import Mapping
from typing import Any

# The settings are ScratchServer's; the releases are those that the machine has, and get older by themselves.
PARAMS: Mapping[str, Mapping[str, Any]] = {
    "dangerous_setting": {"ignore": ["fsync", "full_page_writes", "synchronous_commit"]},
}
NOT_JUDGED = ("minor_version_behind", "major_end_of_life")

RULES = """[rules.dangerous_setting]
ignore = ["fsync", "full_page_writes", "synchronous_commit"]
[rules.minor_version_behind]
enabled = false
[rules.major_end_of_life]
enabled = false
"""
