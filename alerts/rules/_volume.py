"""The volume of the server's data, as a thing that several rules are about."""

from pgvigil.model.level import Level

VOLUME = "data volume"


def filled_by(level: Level) -> frozenset[str]:
    """What disk_full_soon explains. Only when it is critical: a warning of the volume calls nobody at night, and what
    fills it may be worse than that by itself.
    """
    return frozenset({VOLUME}) if level is Level.CRITICAL else frozenset()
