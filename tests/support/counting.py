"""Counters, as late as a server may be with them: before 15 a process of its own collects them."""

from datetime import datetime

from tests.support.polling import poll
from tests.support.servers import Database

_SEEN = (
    "SELECT pg_stat_get_last_analyze_time(%s::regclass) >= %s, pg_stat_get_mod_since_analyze(%s::regclass)"
)


def vacuum_analyze(database: Database, table: str) -> None:
    """Vacuums and analyzes, until the server says so and knows of no change since.

    Once may not be enough: what another session changed before can be counted after it.
    """

    def unchanged() -> bool:
        [(began,)] = database.execute("SELECT clock_timestamp()")
        database.execute(f"VACUUM ANALYZE {table}")
        return poll(lambda: _changes(database, table, began), message=f"the ANALYZE of {table} is seen") == [
            0
        ]

    poll(unchanged, message=f"nothing has changed {table} since", interval_s=0.2)


def _changes(database: Database, table: str, began: datetime) -> list[int]:
    """Of rows since the ANALYZE that began then; empty until that is seen."""
    return [changed for done, changed in database.execute(_SEEN, [table, began, table]) if done]
