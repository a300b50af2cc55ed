"""A damaged store is replaced by its copy: wholly, also when that is cut short, and never unsaid.

`pgvigil.db.recovery` says what was lost, for as long as the damaged file is there. It is written before anything is
moved. `pgvigil.db.restoring` is what takes the store's place: while it is there, a recovery is under way.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pgvigil.store import files, marker
from pgvigil.store.copies import Copy


@dataclass(frozen=True, slots=True)
class Recovered:
    """A damaged store was replaced: what was written between the two stamps is only in `moved_to`."""

    why: str
    copied_at: datetime
    written_at: datetime
    moved_to: Path


def restore(path: Path, copy: Copy, why: str) -> None:
    """Put `copy` in the place of the damaged store, which is kept under another name. Raises OSError."""
    written_at = files.written_at(path)
    fresh = path.with_name(f"{path.name}.restoring-new")
    files.duplicate(copy.path, fresh, owner_of=path)
    moved_to = path.with_name(f"{path.name}.damaged-{files.stamp(written_at)}")
    _note(path, Recovered(why, copy.taken_at, written_at, moved_to))
    fresh.replace(_restoring(path))
    files.sync(path.parent)
    resume(path)


def resume(path: Path) -> None:
    """End a recovery that was begun, by this process or by one that was killed in it. Raises OSError."""
    fresh, noted = _restoring(path), _noted(path)
    if noted is None or not fresh.exists():
        return
    files.move(path, noted.moved_to)
    marker.note(path, noted.copied_at)  # what was sent since then is in doubt
    fresh.replace(path)
    files.sync(path.parent)
    files.keep_newest(path, "damaged")


def last(path: Path) -> Recovered | None:
    """What the store at `path` has lost; None when it lost nothing, or the damaged file was deleted since."""
    noted = _noted(path)
    return noted if noted is not None and noted.moved_to.exists() else None


def _restoring(path: Path) -> Path:
    return path.with_name(f"{path.name}.restoring")


def _note_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.recovery")


def _note(path: Path, recovered: Recovered) -> None:
    words = {
        "why": recovered.why,
        "copied_at": recovered.copied_at.isoformat(),
        "written_at": recovered.written_at.isoformat(),
        "moved_to": recovered.moved_to.name,
    }
    fresh = path.with_name(f"{path.name}.recovery-new")
    files.create(fresh, owner_of=path)
    fresh.write_text(json.dumps(words))
    files.sync(fresh)
    fresh.replace(_note_path(path))


def _noted(path: Path) -> Recovered | None:
    try:
        words = json.loads(_note_path(path).read_bytes())
        return Recovered(
            why=words["why"],
            copied_at=datetime.fromisoformat(words["copied_at"]),
            written_at=datetime.fromisoformat(words["written_at"]),
            moved_to=path.with_name(words["moved_to"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
