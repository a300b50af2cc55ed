"""What sessions and comments of the targets say of maintenance, from readings that are made anyway."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from alerts.maintenance_marks import Mark, Source
from collectors.activity import ActivityReading
from daemon.fleet import Watched
from daemon.settings.sections import TargetSettings
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.postgres.databases import MAINTENANCE, Database

_Reading = Sequence[Database] | Snapshot[ActivityReading] | Delta[ActivityReading]


class TargetMarks:
    """For one thread. A reading is looked through once."""

    def __init__(self, watched: Callable[[], Mapping[str, Watched]]) -> None:
        self._watched = watched
        self._known: dict[Source, tuple[_Reading, TargetSettings, Sequence[Mark]]] = {}

    def __call__(self) -> Mapping[Source, Sequence[Mark] | None]:
        """Those that count, where any do; None where nothing has been read since the start."""
        seen: dict[Source, Sequence[Mark] | None] = {
            (name, by): self._seen(one, by)
            for name, one in self._watched().items()
            for by in one.settings.marks
        }
        for source in self._known.keys() - seen.keys():
            del self._known[source]
        return seen

    def _seen(self, one: Watched, by: str) -> Sequence[Mark] | None:
        reading: _Reading | None = (
            one.following.databases if by == "comment" else one.pipeline.latest("activity")
        )
        if reading is None:
            return None
        source, settings = (one.settings.name, by), one.settings
        known = self._known.get(source)
        if known is None or known[0] is not reading or known[1] is not settings:
            marks = [
                Mark(
                    target=settings.name,
                    by=by,
                    database=database,
                    role=role,
                    text=text,
                    most_s=settings.mark_most_s,
                )
                for database, role, text in _said(reading)
                if settings.marked_by(role)
            ]
            known = self._known[source] = reading, settings, marks
        return known[2]


def _said(reading: _Reading) -> Iterable[tuple[str, str, str]]:
    """Database, role, and text."""
    if isinstance(reading, Snapshot | Delta):
        for group in reading.rows.groups:
            if MAINTENANCE in group.application:
                yield group.database, group.user_name, group.application
        return
    for database in reading:
        if database.comment is not None:
            yield database.name, database.owner, database.comment
