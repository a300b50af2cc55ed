"""Statements in readings: whoever writes a reading down does not write down data."""

from functools import lru_cache
from typing import Annotated

from pydantic import PlainSerializer

from pgvigil.sql.redact import redact

_KNOWN = 2048  # a session in trouble shows the same text for minutes

StatementText = Annotated[str, PlainSerializer(lru_cache(_KNOWN)(redact))]
"""The text as the server shows it; with its literals redacted where the reading is written as JSON."""
