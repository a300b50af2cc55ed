"""How the server is set up: every setting, what roles and databases have of their own, versions of extensions, and the
limit of connections of pgvigil's role. Rules judge it, its changes are remembered, and set-up problems are made of it.

A setting that can hold a secret (a command line, a connection string) is told by a few digits of its hash, made on the
server: that it changed can be seen, its value never leaves the server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import LiteralString, NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query
from pgvigil.redact import redact
from pgvigil.sql.identifiers import quote_identifier


class Setting(NamedTuple):
    """`waits` is True where the configuration files say something else, which a restart will bring.

    `shown` is the value as people write it, `source` and `context` are those of pg_settings.
    """

    name: str
    value: str
    waits: bool
    shown: str = ""
    source: str = ""
    context: str = ""


class Override(NamedTuple):
    """What sessions of a role, of a database, or of a role in a database begin with. None: of all of them."""

    role: str | None
    database: str | None
    name: str
    value: str


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
    overrides: tuple[Override, ...] = ()

    @property
    def waiting(self) -> tuple[Setting, ...]:
        """Those that a restart will change, by name."""
        return tuple(self.settings[name] for name in sorted(self.settings) if self.settings[name].waits)


_HASH: LiteralString = "'(hidden, ' || left(encode(sha256(textsend({0})), 'hex'), 8) || ')'"
_SENSITIVE: LiteralString = (
    "({0} ~* '(passphrase|password|passwd|secret|token|credential|salt|conninfo|_key$|_command$)')"
)
# What is switched off must be seen to be, and a command that does nothing is no secret.
_PLAIN: LiteralString = (
    "('', '(disabled)', 'true', '/bin/true', ':', 'exit 0', 'on', 'off', 'md5', 'scram-sha-256')"
)


def _unless_secret(name: LiteralString, value: LiteralString, shown: LiteralString) -> LiteralString:
    secret = f"{_SENSITIVE.format(name)} AND {value} NOT IN {_PLAIN}"
    return f"CASE WHEN {secret} THEN {_HASH.format(value)} ELSE {shown} END"


SETTINGS = Query(
    name="settings",
    row=Setting,
    columns=(
        Column("name", "name", "Name."),
        Column(
            "value",
            _unless_secret("name", "setting", "setting"),
            "Value in force, in the setting's own unit; a hash where it can hold a secret.",
        ),
        Column("waits", "pending_restart", "Whether a change of it waits for a restart.", "flag"),
        Column(
            "shown",
            _unless_secret("name", "setting", "current_setting(name)"),
            "The same with its unit.",
        ),
        Column("source", "source", "Where it comes from."),
        Column("context", "context", "When it can be changed."),
    ),
    source="FROM pg_settings",
)

OVERRIDES = Query(
    name="settings_overrides",
    row=Override,
    columns=(
        Column("role", "r.rolname::text", "Of this role; null for all."),
        Column("database", "d.datname::text", "In this database; null for all."),
        Column("name", "o.name", "Name of the setting."),
        # What no library of ours explains is the applications' own, and may be anything.
        Column(
            "value",
            f"CASE WHEN strpos(o.name, '.') > 0 AND o.name NOT IN (SELECT name FROM pg_settings)"
            f" THEN {_HASH.format('o.value')} ELSE {_unless_secret('o.name', 'o.value', 'o.value')} END",
            "Value that sessions begin with; a hash where it can hold a secret.",
        ),
    ),
    source="""
    FROM pg_db_role_setting AS s
    LEFT JOIN pg_roles AS r ON r.oid = s.setrole
    LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
    CROSS JOIN LATERAL unnest(s.setconfig) AS c(pair)
    CROSS JOIN LATERAL (
      SELECT lower(split_part(c.pair, '=', 1)) AS name, substr(c.pair, strpos(c.pair, '=') + 1) AS value
    ) AS o
    ORDER BY 2 NULLS FIRST, 1 NULLS FIRST, 3
    LIMIT 2000
    """,
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
        settings={each.name: _shared(each) for each in settings},
        extensions={each.name: each for each in extensions},
        role=role,
        overrides=reader.rows(OVERRIDES),
    )


@lru_cache(maxsize=4096)
def _shared(setting: Setting) -> Setting:
    """The same object for what is the same: most of the 350 settings are alike on all servers of a fleet."""
    return setting


# Of our own session, or of the server's state: no setting that somebody changed.
_OURS = frozenset({"client", "session", "user", "database", "database user", "global"})
_STATE = frozenset({"transaction_deferrable", "transaction_isolation", "transaction_read_only"})
_TELLING = frozenset({"data_checksums", "server_version"})  # of those that nobody sets


def journal(reading: SettingsReading) -> dict[str, str]:
    """What is in force on the server, and what roles and databases have of their own, as people write it."""
    settings = {
        name: redact(setting.shown)
        for name, setting in reading.settings.items()
        if setting.source not in _OURS
        and name not in _STATE
        and (setting.context != "internal" or name in _TELLING)
    }
    return settings | {
        f"{override.name} {place(override)}": redact(override.value) for override in reading.overrides
    }


def place(override: Override) -> str:
    """Whose it is: `of role app in database shop`."""
    role = "" if override.role is None else f"of role {quote_identifier(override.role)}"
    database = "" if override.database is None else f"in database {quote_identifier(override.database)}"
    return " ".join(filter(None, (role, database))) or "of all roles"


COLLECTOR = Collector(
    name="settings",
    summary="Settings of the server, of roles and of databases, with their changes; versions of extensions; the role's"
    " limit of connections.",
    lane=LaneKind.SERVER,
    interval_s=300.0,
    timeout_s=5.0,
    queries=(SETTINGS, OVERRIDES, EXTENSIONS, ROLE),
    read=read,
    families=(
        Family(
            name="settings_pending_restart",
            help="Settings whose change waits for a restart of the server.",
            rows=lambda reading: (reading,),
            value=lambda reading: float(len(reading.waiting)),
        ),
    ),
    journal=journal,
)
