"""Whether a server's pages are written to files of its own."""

from collectors.settings import SettingsReading
from pgvigil.plugins import Context
from pgvigil.postgres.services import AURORA

_SERVICES = frozenset({AURORA, "AlloyDB"})
_OWN_SETTINGS = "neon."


def foreign_storage(rows: SettingsReading, context: Context) -> bool:
    """Storage of the service's own lies below: it writes whole pages and keeps its own checksums, so the settings that
    are about files mean nothing. Neon makes no role of its own, and is known by its library's settings.
    """
    service = None if context.facts is None else context.facts.service
    return service in _SERVICES or any(name.startswith(_OWN_SETTINGS) for name in rows.settings)
