"""How the server is set up for being watched: settings, versions of extensions, and the role's limit of connections.

No rule judges it: set-up problems are made of it. Only settings that decide what pgvigil can see are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.plugins import Collector, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Setting(NamedTuple):
    """`waits` is True where the configuration files say something else, which a restart will bring."""

    name: str
    value: str
    waits: bool


class Extension(NamedTuple):
    """One that the server offers. `installed` is None where this database does not have it."""

    name: str
    offered: str
    installed: str | None


class Role(NamedTuple):
    """Who we are. `connection_limit` -1 is none; a superuser has none whatever is set."""

    name: str
    connection_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsReading:
    """A setting that the role may not see is absent, and so is one of a library that is not loaded."""

    settings: Mapping[str, Setting]
    extensions: Mapping[str, Extension]
    role: Role


SETTINGS = Query(
    name="settings",
    row=Setting,
    columns=(
        Column("name", "name", "Name."),
        Column("value", "setting", "Value in force, in the setting's own unit."),
        Column("waits", "pending_restart", "Whether a change of it waits for a restart.", "flag"),
    ),
    source="""FROM pg_settings WHERE name IN (
        'compute_query_id', 'pg_stat_statements.max', 'pg_stat_statements.track', 'server_encoding',
        'shared_preload_libraries', 'track_activities', 'track_activity_query_size', 'track_counts',
        'track_io_timing')""",
)

EXTENSIONS = Query(
    name="settings_extensions",
    row=Extension,
    columns=(
        Column("name", "name::text", "Name."),
        Column("offered", "default_version::text", "Version that the server would install."),
        Column("installed", "installed_version::text", "Version in this database; null where it is not."),
    ),
    # Version null: a control file without a default, of which nothing can be said.
    source="FROM pg_available_extensions WHERE default_version IS NOT NULL"
    " AND (installed_version IS NOT NULL OR name = 'pg_stat_statements')",
)

ROLE = Query(
    name="settings_role",
    row=Role,
    columns=(
        Column("name", "rolname::text", "The role that asks."),
        Column(
            "connection_limit",
            "CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END",
            "Connections that it may have at once; -1 for any number.",
            "count",
        ),
    ),
    source="FROM pg_roles WHERE rolname = current_user",
)


def read(reader: Reader) -> SettingsReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    settings: tuple[Setting, ...] = reader.rows(SETTINGS)
    extensions: tuple[Extension, ...] = reader.rows(EXTENSIONS)
    (role,) = reader.rows(ROLE)
    return SettingsReading(
        settings={each.name: each for each in settings},
        extensions={each.name: each for each in extensions},
        role=role,
    )


COLLECTOR = Collector(
    name="settings",
    summary="Settings, versions of extensions and the role's limit of connections: what set-up problems are made of.",
    lane=LaneKind.SERVER,
    interval_s=600.0,
    timeout_s=5.0,
    queries=(SETTINGS, EXTENSIONS, ROLE),
    read=read,
)
