"""What throw-away servers are that no server should be: fast instead of safe, and of any age."""

from collections.abc import Mapping
from typing import Any

# The settings are ScratchServer's. The releases are those that the machine has, with the defaults of their time.
PARAMS: Mapping[str, Mapping[str, Any]] = {
    "dangerous_setting": {"ignore": ["fsync", "full_page_writes", "synchronous_commit"]},
}
NOT_JUDGED = ("minor_version_behind", "major_end_of_life", "checksums_off", "public_schema_writable")

RULES = """[rules.dangerous_setting]
ignore = ["fsync", "full_page_writes", "synchronous_commit"]
""" + "".join(f"[rules.{name}]\nenabled = false\n" for name in NOT_JUDGED)
