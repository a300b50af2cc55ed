"""The nouns as JSON objects: one form for the API and for every command's --json."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from daemon.board import TargetView
from pgvigil.model.evidence import Block, Branch, Evidence, Step
from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident
from pgvigil.model.marker import Marker
from pgvigil.model.silence import Silence
from pgvigil.problems import Problem


def stamp(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z, to the millisecond."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def incident(item: Incident) -> dict[str, Any]:
    """`since` is when the episode began to be true, not when it was announced."""
    return {
        "id": item.name,
        "rule": item.rule,
        "target": item.target,
        "database": item.database,
        "subject": item.subject,
        "severity": item.severity.word,
        "peak_severity": item.peak.word,
        "state": item.state.value,
        "marks": list(item.marks),
        "acknowledged_by": item.acknowledged_by,
        "acknowledged_at": stamp(item.acknowledged_at),
        "silenced_by": item.silenced_by,
        "suppressed_by": item.suppressed_by,
        "parent": None if item.parent_id is None else f"INC-{item.parent_id}",
        "since": stamp(item.pending_since),
        "fired_at": stamp(item.fired_at),
        "last_true_at": stamp(item.last_true_at),
        "resolved_at": stamp(item.resolved_at),
        "reason": item.reason,
        "summary": item.summary,
        "value": item.value,
        "evidence": evidence(item.evidence),
        "actions": actions(item.steps),
    }


def marker(item: Marker) -> dict[str, Any]:
    return {
        "id": item.id,
        "at": stamp(item.at),
        "text": item.text,
        "author": item.author,
        "match": _patterns(item.match),
    }


def _patterns(match: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """By key."""
    by_key: dict[str, list[str]] = {}
    for key, pattern in match:
        by_key.setdefault(key, []).append(pattern)
    return by_key


def silence(item: Silence, now: datetime, found: Iterable[Incident]) -> dict[str, Any]:
    """`hides` names what of `found` it keeps quiet. `forgotten`: what it kept quiet is over, and it is not."""
    hides = [one.name for one in found if one.silenced_by == item.name]
    active = item.active(now)
    return {
        "id": item.name,
        "match": _patterns(item.match),
        "author": item.author,
        "reason": item.reason,
        "created_at": stamp(item.created_at),
        "ends_at": stamp(item.ends_at),
        "until_resolved": item.until_resolved,
        "until_worse": None if item.worst is None else item.worst.word,
        "active": active,
        "expired_by": item.expired_by,
        "matched_at": stamp(item.matched_at),
        "hides": hides,
        "never_matched": item.matched_at is None and not hides,
        "forgotten": active and item.matched_at is not None and not hides,
    }


def finding(item: Finding, explained_by: Finding | None = None) -> dict[str, Any]:
    """What is seen now, in the words of an incident; it has no history. `explained_by` names the finding
    of which this one is a consequence or a part.
    """
    return {
        "rule": item.rule,
        "target": item.target,
        "database": item.database,
        "subject": item.subject,
        "severity": item.level.word,
        "explained_by": None
        if explained_by is None
        else {
            "rule": explained_by.rule,
            "database": explained_by.database,
            "subject": explained_by.subject,
        },
        "summary": item.summary,
        "value": item.value,
        "evidence": evidence(item.evidence),
        "actions": actions(item.steps),
    }


def evidence(item: Evidence) -> dict[str, Any]:
    return {
        "impact": item.impact,
        "figures": {figure.name: figure.value for figure in item.figures},
        "blocks": [block(each) for each in item.blocks],
        "cause": item.cause,
        "notes": list(item.notes),
    }


def block(item: Block) -> dict[str, Any]:
    """`tree` is there where the block is one."""
    plain = {"kind": item.kind.value, "title": item.title, "text": item.text}
    return plain if item.tree is None else {**plain, "tree": branch(item.tree)}


def branch(item: Branch) -> dict[str, Any]:
    return {
        "name": item.name,
        "state": item.state,
        "wants": item.wants,
        "holds": item.holds,
        "figures": {figure.name: figure.value for figure in item.figures},
        "statement": item.statement,
        "running": item.running,
        "below": [branch(each) for each in item.below],
        "hidden": item.hidden,
    }


def actions(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [{"text": step.text, "sql": step.sql} for step in steps]


def problem(item: Problem) -> dict[str, Any]:
    """`target` is null for pgvigil's own set-up."""
    return {
        "slug": item.slug,
        "target": item.target,
        "sentence": item.sentence,
        "why": item.why,
        "fix": item.fix,
        "docs": item.docs,
    }


def target(view: TargetView) -> dict[str, Any]:
    """A target as the API shows it. What is not known is null, never zero."""
    failure = view.availability.failure if view.availability else None
    return {
        "name": view.name,
        "kind": view.kind.value,
        "labels": dict(view.labels),
        "up": None if view.availability is None else view.up,
        "failure": None if failure is None else {"kind": failure.kind.value, "message": failure.message},
        "down_since": stamp(view.availability.down_since) if view.availability else None,
        "started_at": stamp(view.availability.started_at) if view.availability else None,
        "version": view.facts.version if view.facts else None,
        "role": view.role,
        "in_recovery": view.facts.in_recovery if view.facts else None,
        "databases": list(view.databases),
        "not_covered": dict(view.not_covered),
        "stretch": {
            "factor": view.stretch.factor,
            "reason": view.stretch.reason or None,
            "since": stamp(view.stretch.since),
        },
        "waiters": view.waiters,
        "sessions": [
            {"database": s.database, "state": s.state, "sessions": s.sessions} for s in view.sessions
        ],
        "collectors": [
            {
                "collector": c.collector,
                "database": c.database,
                "interval_s": c.interval_s,
                "configured_interval_s": c.configured_interval_s,
                "stretch_reason": c.stretch_reason or None,
                "last_success_at": stamp(c.last_success_at),
                "failure": None
                if c.last_failure is None
                else {"kind": c.last_failure.kind.value, "message": c.last_failure.message},
                "missed_ticks": c.missed_ticks,
            }
            for c in view.collectors
        ],
        "problems": [problem(each) for each in view.problems],
        "incidents_open": sum(1 for item in view.incidents if item.open),
    }


def statements(view: TargetView) -> list[dict[str, Any]]:
    """The statements followed at this target; queryid is a string because it does not fit a JSON number."""
    return [
        {
            "target": view.name,
            "database": series.database or None,
            "queryid": None if series.queryid is None else str(series.queryid),
            "calls": series.calls,
            "exec_s": round(series.exec_s, 6),
            "rows": series.rows,
            "shared_blocks": series.shared_blocks,
        }
        for series in view.statements
    ]
