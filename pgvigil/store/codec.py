"""Values of the nouns as plain integers and text, each way exact."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from pgvigil.model.digest import Sight
from pgvigil.model.evidence import Block, BlockKind, Branch, Evidence, Figure, Step
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.model.series import Point

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ESCAPED = "\x1bjson:"


def micros_of(stamp: datetime) -> int:
    """Microseconds since 1970; a stamp without a zone is refused, because its instant is a guess."""
    if stamp.tzinfo is None:
        raise ValueError(f"{stamp!r} has no time zone")
    return (stamp - _EPOCH) // _MICROSECOND


def stamp_of(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def storable(text: str) -> str:
    """`text` such that SQLite takes it: a lone surrogate (from undecodable bytes in a name) has no UTF-8."""
    if text.startswith(_ESCAPED) or not _has_utf8(text):
        return _ESCAPED + json.dumps(text)
    return text


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def restored(text: str) -> str:
    """The text that `storable` was given."""
    return str(json.loads(text.removeprefix(_ESCAPED))) if text.startswith(_ESCAPED) else text


def json_of(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def evidence_json(evidence: Evidence) -> str:
    return json_of(
        {
            "impact": evidence.impact,
            "figures": [(figure.name, figure.value) for figure in evidence.figures],
            "blocks": [_block_parts(block) for block in evidence.blocks],
            "cause": evidence.cause,
            "notes": evidence.notes,
            "share": evidence.share_percent,
            "course": [(micros_of(point.at), point.value) for point in evidence.course],
        }
    )


def evidence_of(text: str) -> Evidence:
    plain = json.loads(text)
    return Evidence(
        impact=plain["impact"],
        figures=tuple(Figure(name, value) for name, value in plain["figures"]),
        blocks=tuple(_block_of(*parts) for parts in plain["blocks"]),
        cause=plain["cause"],
        notes=tuple(plain["notes"]),
        share_percent=plain.get("share"),  # rows of before have none of these
        course=tuple(Point(stamp_of(micros), value) for micros, value in plain.get("course", ())),
    )


def _block_parts(block: Block) -> tuple[Any, ...]:
    parts = (block.kind, block.title, block.text)
    return parts if block.tree is None else (*parts, asdict(block.tree))


def _block_of(kind: str, title: str, text: str, tree: dict[str, Any] | None = None) -> Block:
    """Rows that were written before there were trees have none."""
    return Block(BlockKind(kind), title, text, None if tree is None else _branch_of(tree))


def _branch_of(plain: dict[str, Any]) -> Branch:
    figures = tuple(Figure(**figure) for figure in plain["figures"])
    below = tuple(map(_branch_of, plain["below"]))
    return Branch(**{**plain, "figures": figures, "below": below})


def steps_json(steps: tuple[Step, ...]) -> str:
    return json_of([(step.text, step.sql) for step in steps])


def steps_of(text: str) -> tuple[Step, ...]:
    return tuple(Step(words, sql) for words, sql in json.loads(text))


def keys_json(keys: frozenset[str]) -> str:
    return json_of(sorted(keys))


def keys_of(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


def labels_json(labels: tuple[tuple[str, str], ...]) -> str:
    return json_of(labels)


def labels_of(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))


def sights_json(sights: tuple[tuple[State, Level], ...]) -> str:
    return json_of(sights)


def sights_of(text: str) -> tuple[tuple[State, Level], ...]:
    return tuple((State(state), Level(level)) for state, level in json.loads(text))


def told_json(told: tuple[Sight, ...]) -> str:
    return json_of([(each.incident_id, each.version, each.state, each.level) for each in told])


def told_of(text: str) -> tuple[Sight, ...]:
    return tuple(
        Sight(incident_id, version, State(state), Level(level))
        for incident_id, version, state, level in json.loads(text)
    )


def known_json(known: Mapping[str, str]) -> str:
    return json_of(dict(known))


def known_of(text: str) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in json.loads(text).items()}


def remote_json(remote: Mapping[str, str]) -> str:
    return json_of(dict(remote))


def remote_of(text: str) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in json.loads(text).items()}
