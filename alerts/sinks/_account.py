"""An incident as JSON for programs: the same facts for each destination that takes an object."""

import hashlib
import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from alerts.render import View, fit_block
from pgvigil.model.incident import Incident
from pgvigil.text import one_line, printable

_NOTES = 100
_BLOCK_CHARS = (20_000, 4_000, 800, 0)  # of each literal block, ever less until all of it fits


def identity(incident: Incident) -> str:
    """A key of at most 64 characters that is the incident's alone, also among those of other installations.

    It holds the fingerprint, because numbers begin anew with a new store, and the number, because the end of one
    episode must not end the next.
    """
    known = hashlib.sha256(incident.fingerprint.encode()).hexdigest()[:16]
    return f"pgvigil-{known}-{incident.name}"


def page_of(incident: Incident, public_url: str) -> str:
    """Where people read on; empty when no public URL is configured."""
    return f"{public_url.rstrip('/')}/incidents/{incident.name}" if public_url else ""


def account(incident: Incident, shown: View, block_chars: int = _BLOCK_CHARS[0]) -> dict[str, Any]:
    """Facts and evidence, printable; each literal text has at most `block_chars` characters, none with 0."""
    return {
        "name": incident.name,
        "rule": incident.rule,
        "target": incident.target,
        "database": incident.database,
        "subject": one_line(incident.subject),
        "state": incident.state.value,
        "severity": incident.severity.word,
        "peak": incident.peak.word,
        "marks": list(incident.marks),
        "labels": {key: one_line(value) for key, value in incident.labels},
        "since": incident.pending_since.isoformat(),
        "evaluated_at": incident.evaluated_at.isoformat(),
        "resolved_at": None if incident.resolved_at is None else incident.resolved_at.isoformat(),
        "value": incident.value if incident.value is not None and isfinite(incident.value) else None,
        "title": shown.title,
        "summary": shown.lead,
        "impact": shown.impact,
        "cause": shown.cause,
        "figures": {figure.name: figure.value for figure in shown.figures},
        "evidence": [
            {"title": one_line(block.title), "text": fit_block(block.text, block_chars)}
            for block in shown.blocks
            if block_chars
        ],
        "steps": [
            {"text": printable(step.text), "sql": fit_block(step.sql or "", max(block_chars, 800))}
            for step in shown.steps
        ],
        "notes": list(shown.notes[:_NOTES]),
    }


def fitted(message: Callable[[int], Mapping[str, Any]], limit_bytes: int) -> bytes:
    """`message(block_chars)` as UTF-8 JSON, with as much evidence as fits into `limit_bytes`."""
    written = b""
    for block_chars in _BLOCK_CHARS:
        text = json.dumps(message(block_chars), ensure_ascii=False, allow_nan=False)
        written = text.encode("utf-8", "replace")
        if len(written) <= limit_bytes:
            break
    return written
