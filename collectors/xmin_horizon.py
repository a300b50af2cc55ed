"""Who holds the xmin horizon: what keeps vacuum from removing dead rows, and freezing from going on.

The oldest transaction id that anybody may still have to see: that of an open snapshot or transaction, of a prepared
transaction, of a replication slot, or of a standby that reports its own (hot_standby_feedback).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.model.finding import session_key
from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query

MOST = 20  # holders that are kept: the oldest


class NextXid(NamedTuple):
    """The transaction id that comes next, with its epoch."""

    next_xid: int


class Holder(NamedTuple):
    """One who holds back the horizon by `xids` transaction ids.

    `kind` is session, prepared, slot, slot_catalog (a logical slot: rows of catalogues only) or standby. `name` is the
    gid, the slot's name or the standby's application_name; empty for a session. `since_s` is how long the transaction
    is open, or the slot unused; None where the server does not say. `lost`: a slot that no longer has its WAL.
    """

    kind: str
    name: str
    xids: int
    since_s: float | None
    pid: int | None
    backend_start: datetime | None
    backend_type: str
    database: str
    user_name: str
    application: str
    client: str
    state: str
    lost: bool

    @property
    def session_key(self) -> str | None:
        if self.kind != "session" or self.pid is None or self.backend_start is None:
            return None
        return session_key(self.pid, self.backend_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class XminHorizonReading:
    """`holders` are the oldest first."""

    next_xid: int
    holders: tuple[Holder, ...] = ()

    @property
    def oldest_of_each_kind(self) -> Iterable[Holder]:
        found: dict[str, Holder] = {}
        for holder in self.holders:
            found.setdefault(holder.kind, holder)
        return found.values()


NEXT_XID = Query(
    name="xmin_horizon_next",
    row=NextXid,
    columns=(Column("next_xid", "pg_snapshot_xmax(pg_current_snapshot())::text::int8"),),
    source="",
)

# A vacuum's own snapshot holds nothing back, nor does that of logical decoding beside its slot's.
_SESSIONS = """
      SELECT 'session' AS kind, '' AS name, greatest(age(a.backend_xid), age(a.backend_xmin)) AS xids,
             extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS since_s, a.pid, a.backend_start,
             a.backend_type, coalesce(a.datname, '') AS database, coalesce(a.usename, '') AS user_name,
             a.application_name AS application, coalesce(host(a.client_addr), 'local') AS client,
             coalesce(a.state, '') AS state, false AS lost
      FROM pg_stat_activity AS a
      WHERE (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL) AND a.backend_start IS NOT NULL
        AND coalesce(a.backend_type, '') NOT IN ('walsender', 'parallel worker')
        AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum AS v WHERE v.pid = a.pid)
        AND NOT (starts_with(a.application_name, 'pgvigil') AND a.usename = current_user)
"""
_OTHERS = """
      SELECT 'prepared', p.gid, age(p.transaction), extract(epoch FROM clock_timestamp() - p.prepared)::float8,
             NULL, NULL, '', p.database::text, p.owner::text, '', '', 'prepared', false
      FROM pg_prepared_xacts AS p
      UNION ALL
      SELECT CASE h.position WHEN 1 THEN 'slot' ELSE 'slot_catalog' END, s.slot_name::text, age(h.held), NULL,
             s.active_pid, NULL, s.slot_type, coalesce(s.database::text, ''), '', coalesce(s.plugin::text, ''), '',
             CASE WHEN s.active THEN 'active' ELSE 'inactive' END, s.wal_status IS NOT DISTINCT FROM 'lost'
      FROM pg_replication_slots AS s
      CROSS JOIN LATERAL unnest(ARRAY[s.xmin, s.catalog_xmin]) WITH ORDINALITY AS h (held, position)
      WHERE h.held IS NOT NULL
      UNION ALL
      SELECT 'standby', r.application_name, age(r.backend_xmin), NULL, r.pid, r.backend_start, 'walsender', '',
             coalesce(r.usename, ''), r.application_name, coalesce(host(r.client_addr), 'local'), r.state, false
      FROM pg_stat_replication AS r
      WHERE r.backend_xmin IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
"""

HOLDERS = Query(
    name="xmin_horizon_holders",
    row=Holder,
    columns=(
        Column("kind", "h.kind", "session, prepared, slot, slot_catalog or standby."),
        Column("name", "h.name", "The gid, the slot, or the standby's application_name."),
        Column("xids", "h.xids", "Transaction ids since the one that it holds.", "count"),
        Column(
            "since_s",
            "coalesce(h.since_s, (SELECT extract(epoch FROM clock_timestamp() - s.inactive_since)::float8"
            " FROM pg_replication_slots AS s WHERE h.kind LIKE 'slot%%' AND s.slot_name::text = h.name))",
            "How long the transaction is open, or the slot unused.",
            "s",
            needs="pg_replication_slots.inactive_since",
            otherwise="h.since_s",
        ),
        Column("pid", "h.pid"),
        Column("backend_start", "h.backend_start", unit="timestamp"),
        Column("backend_type", "coalesce(h.backend_type, '')"),
        Column("database", "h.database"),
        Column("user_name", "h.user_name"),
        Column("application", "coalesce(h.application, '')"),
        Column("client", "h.client"),
        Column("state", "coalesce(h.state, '')"),
        Column("lost", "h.lost", "A slot that no longer has its WAL.", "flag"),
    ),
    source=f"FROM ({_SESSIONS} UNION ALL {_OTHERS}) AS h"
    f" ORDER BY h.xids DESC, h.kind, h.name, h.pid LIMIT {MOST}",
)


def read(reader: Reader) -> XminHorizonReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (following,) = reader.rows(NEXT_XID)
    return XminHorizonReading(next_xid=following.next_xid, holders=holders(reader))


def holders(reader: Reader) -> tuple[Holder, ...]:
    """Those who hold something back, the oldest first. From 16 on a slot without its WAL holds nothing any more."""
    found: tuple[Holder, ...] = reader.rows(HOLDERS)
    return tuple(each for each in found if not (each.lost and reader.facts.version_num >= 160000))


COLLECTOR = Collector(
    name="xmin_horizon",
    summary="Who keeps vacuum from removing dead rows: sessions, prepared transactions, slots, standbys",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(NEXT_XID, HOLDERS),
    read=read,
    tables={HOLDERS.name: lambda reading: reading.holders},
    series={"next_xid": lambda reading: (Sample("", float(reading.next_xid)),)},
    families=(
        Family(
            name="xmin_horizon_xids",
            help="Transaction ids that the oldest holder of its kind keeps vacuum from cleaning up after.",
            rows=lambda reading: reading.oldest_of_each_kind,
            value=lambda row: row.xids,
            labels={"holder": lambda row: row.kind},
        ),
    ),
)
