"""The certificate that a server shows."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """When it holds; both aware, UTC."""

    start: datetime
    end: datetime
