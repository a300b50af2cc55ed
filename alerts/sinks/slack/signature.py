"""Whether a request is from Slack: HMAC-SHA256 of its stamp and body, by the app's signing secret.

As https://docs.slack.dev/authentication/verifying-requests-from-slack says. The SDK's own verifier throws ValueError and
UnicodeDecodeError at what strangers send, so that a public endpoint would answer 500.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qs

from pgvigil.receiver import NotGenuineError

MOST_SKEW_S = 300.0
_STAMP = re.compile(r"[0-9]{1,12}")


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises NotGenuineError unless `body` was signed with `secret`, and lately."""
    stamp = headers.get("x-slack-request-timestamp", "")
    if not _STAMP.fullmatch(stamp) or abs(now.timestamp() - int(stamp)) > MOST_SKEW_S:
        raise NotGenuineError("the request has no stamp of the last five minutes")
    made = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    given = headers.get("x-slack-signature", "").encode(errors="replace")
    if not hmac.compare_digest(f"v0={made}".encode(), given):
        raise NotGenuineError("the request is not signed by Slack")


def payload_in(body: bytes) -> object:
    """What the field `payload` of the form holds. Raises NotGenuineError."""
    try:
        (text,) = parse_qs(body.decode("utf-8"), strict_parsing=True, max_num_fields=20)["payload"]
        found: object = json.loads(text)
    except (ValueError, KeyError, RecursionError) as error:
        raise NotGenuineError("the body holds no payload") from error
    return found
