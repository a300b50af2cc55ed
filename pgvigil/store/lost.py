"""After an end while the file lacked something: what people may have been told that nothing here knows of.

Every message that the lost time may already have sent is put in doubt, so that it is looked for before it is sent,
or marked where nobody can look: at once for the incidents that the file has, and for an hour for those that begin,
because their fault may be one that was told before.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from pgvigil.store import state
from pgvigil.store.codec import micros_of, stamp_of

KEY = "lost"
ECHO = timedelta(hours=1)
IDS_SKIPPED = 1000  # so that no incident has the number of one that was lost


@dataclass(frozen=True, slots=True)
class Lost:
    """Since when, and the highest number of an incident that the file had: those above it were lost."""

    since: datetime
    highest: int


def begin(connection: Connection, since: datetime) -> Lost:
    """Note the loss, and leave out the numbers that it may have used."""
    highest = _highest(connection)
    known = state.read(connection, KEY)
    if known is not None:  # it ended badly once more before all of it was over
        lost = Lost(min(since, stamp_of(known["since"])), min(highest, known["highest"]))
    else:
        lost = Lost(since, highest)
    _note(connection, lost, None)
    connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'incident'")
    connection.exec_driver_sql(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('incident', ?)", (highest + IDS_SKIPPED,)
    )
    return lost


def current(connection: Connection, at: datetime) -> Lost | None:
    """The loss that still matters for what begins at `at`. Its hour begins with the first who asks."""
    known = state.read(connection, KEY)
    if known is None:
        return None
    lost = Lost(stamp_of(known["since"]), known["highest"])
    if known["until"] is None:
        _note(connection, lost, at + ECHO)
    elif at > stamp_of(known["until"]):
        state.put(connection, KEY, None)
        return None
    return lost


def _note(connection: Connection, lost: Lost, until: datetime | None) -> None:
    noted = {"since": micros_of(lost.since), "highest": lost.highest}
    state.put(connection, KEY, {**noted, "until": None if until is None else micros_of(until)})


def _highest(connection: Connection) -> int:
    found = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'incident'").scalar()
    return int(found or 0)
