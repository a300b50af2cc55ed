"""What a server is: asked after every connect, in two or three cheap statements."""

import threading
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pgvigil.model.facts import Facts
from pgvigil.model.failure import FailureKind
from pgvigil.postgres import services
from pgvigil.postgres.channel import Channel
from pgvigil.postgres.errors import ReadError

# Settings that decide what our figures mean; those that the role may not see are absent from the facts.
SETTINGS = (
    "autovacuum_freeze_max_age",
    "block_size",
    "cluster_name",
    "compute_query_id",
    "data_checksums",
    "deadlock_timeout",
    "default_transaction_read_only",
    "log_lock_waits",
    "max_connections",
    "max_prepared_transactions",
    "pg_stat_statements.max",
    "pg_stat_statements.track",
    "pg_stat_statements.track_planning",
    "pg_stat_statements.track_utility",
    "rds.rds_superuser_reserved_connections",
    "reserved_connections",
    "server_encoding",
    "shared_buffers",
    "shared_preload_libraries",
    "superuser_reserved_connections",
    "track_activities",
    "track_activity_query_size",
    "track_counts",
    "track_functions",
    "track_io_timing",
    "track_wal_io_timing",
    "wal_receiver_timeout",
)

_RESERVED = (
    "superuser_reserved_connections",
    "reserved_connections",
    "rds.rds_superuser_reserved_connections",
)

_SERVER = """
SELECT /* pgvigil:facts */
    current_setting('server_version_num')::int4,
    current_setting('server_version'),
    current_database()::text,
    pg_is_in_recovery(),
    pg_postmaster_start_time(),
    current_user::text,
    coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false),
    pg_has_role('pg_monitor', 'USAGE'),
    ARRAY(SELECT ARRAY[e.extname::text, n.nspname::text, e.extversion]
          FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace),
    ARRAY(SELECT ARRAY[name, setting] FROM pg_settings WHERE name = ANY (%(names)s::text[])),
    ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%(marks)s::text[])),
    EXISTS (SELECT FROM pg_proc WHERE proname = 'aurora_version' AND pronamespace = 'pg_catalog'::regnamespace),
    ARRAY(SELECT f FROM unnest(%(kept)s::text[]) WITH ORDINALITY AS k(f, place)
          WHERE NOT has_function_privilege(to_regprocedure(f), 'EXECUTE') ORDER BY place)
"""

# Views of pg_catalog are part of the server, those of extensions have versions of their own.
_COLUMNS = """
SELECT /* pgvigil:facts */ c.relname::text,
       array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v')
  AND (c.relnamespace = 'pg_catalog'::regnamespace
       OR EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'))
GROUP BY c.oid, c.relname
ORDER BY c.relname
"""

_SYSTEM = "SELECT /* pgvigil:facts */ system_identifier FROM pg_control_system()"


class _Server(NamedTuple):
    version_num: int
    version: str
    database: str
    in_recovery: bool
    started_at: Any
    role: str
    superuser: bool
    monitor: bool
    extensions: list[list[str]]
    settings: list[list[str]]
    marks: list[str]
    aurora: bool
    kept: list[str]


_MOST_KNOWN = 2048  # servers and sets of extensions; the answers are shared
_known: dict[tuple[Any, ...], Mapping[str, frozenset[str]]] = {}
_lock = threading.Lock()


def discover(channel: Channel, timeout_s: float, *, anew: bool = False) -> Facts:
    """Raises ReadError. `anew`: nothing that is known from an earlier connection is trusted."""
    server = channel.ask(
        _SERVER,
        {"names": list(SETTINGS), "marks": list(services.MARKS), "kept": list(services.KEPT)},
        timeout_s,
        lambda cursor: _Server._make(*cursor.fetchall()),
    )
    system_identifier = _system_identifier(channel, timeout_s)
    settings = {pair[0]: pair[1] for pair in server.settings}
    service, service_roles = services.recognised(server.marks, aurora=server.aurora)
    return Facts(
        version_num=server.version_num,
        version=server.version,
        database=server.database,
        system_identifier=system_identifier,
        in_recovery=server.in_recovery,
        started_at=server.started_at,
        role=server.role,
        superuser=server.superuser,
        monitor=server.monitor,
        max_connections=int(settings["max_connections"]),
        reserved_connections=sum(int(settings.get(name, 0)) for name in _RESERVED),
        extensions={name: (schema, version) for name, schema, version in server.extensions},
        columns=_columns(channel, timeout_s, server, system_identifier, anew=anew),
        settings=settings,
        service=service,
        service_roles=service_roles,
        kept_functions=() if service is None else tuple(server.kept),
    )


def _system_identifier(channel: Channel, timeout_s: float) -> int | None:
    """None where the role may not ask, as on some managed services."""
    try:
        return channel.ask(_SYSTEM, None, timeout_s, lambda cursor: int(cursor.fetchall()[0][0]))
    except ReadError as error:
        if error.failure.kind in {FailureKind.PRIVILEGE, FailureKind.UNDEFINED}:
            return None
        raise


def _columns(
    channel: Channel, timeout_s: float, server: _Server, system_identifier: int | None, *, anew: bool
) -> Mapping[str, frozenset[str]]:
    """Asked once of a server as it was started, for each set of extensions: the answer has 3,000 names, and all
    its databases are visited again and again. Where that no longer holds an undefined column says so.
    """
    extensions = tuple(sorted(map(tuple, server.extensions)))
    key = (system_identifier, server.started_at, server.version, extensions)
    with _lock:
        known = None if anew or system_identifier is None else _known.get(key)
    if known is not None:
        return known
    found = channel.ask(_COLUMNS, None, timeout_s, lambda cursor: tuple(cursor.fetchall()))
    columns = _shared(tuple((relation, tuple(names)) for relation, names in found))
    with _lock:
        _known[key] = columns
        while len(_known) > _MOST_KNOWN:
            del _known[next(iter(_known))]
    return columns


@lru_cache(maxsize=64)
def _shared(columns: tuple[tuple[str, tuple[str, ...]], ...]) -> Mapping[str, frozenset[str]]:
    """Servers of one version share one mapping: hundreds of sessions would each hold 2,000 names."""
    return MappingProxyType({relation: frozenset(names) for relation, names in columns})
