"""What is known of the server behind one connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pgvigil.model.kind import TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Discovered after every connect, and again after an undefined-column error.

    `columns` maps a relation (view, catalog, or the extension's view by its bare name) to the columns that
    this server has: queries are chosen by what is there, not by a ladder of versions.

    A PgBouncer has no databases of its own, no extensions and no start time that it would tell; its
    `max_connections` are those of its clients.
    """

    version_num: int
    version: str
    database: str
    system_identifier: int | None
    in_recovery: bool
    started_at: datetime | None
    role: str
    superuser: bool
    monitor: bool  # member of pg_monitor, or superuser
    max_connections: int
    reserved_connections: int  # superuser_reserved_connections + reserved_connections (16+)
    extensions: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name -> (schema, version)
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    kind: TargetKind = TargetKind.POSTGRES
    service: str | None = None  # the managed service that runs it, where it is known
    service_roles: frozenset[str] = frozenset()  # that service's own
    kept_functions: tuple[str, ...] = ()  # what the service lets nobody call of what collectors would

    def has(self, relation_column: str) -> bool:
        """Whether `relation.column` exists on this server."""
        relation, _, column = relation_column.partition(".")
        return column in self.columns.get(relation, frozenset())
