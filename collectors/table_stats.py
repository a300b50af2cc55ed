"""Tables that wait for vacuum: dead and inserted rows beside the thresholds at which autovacuum would come, and the age
at which it must.

The thresholds are autovacuum's own (autovacuum.c, relation_needs_vacanalyze): the settings, or the table's storage
parameters; a TOAST table without its own has those of its table. Only the catalogue and counters are read.
"""

from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query
from pgvigil.sql.identifiers import quote_name

MOST = 25  # tables of each order: by dead rows beside the threshold, by their bytes, by inserted rows, by age


class Workers(NamedTuple):
    """Autovacuum on this server: `busy` of `most` workers. `enabled` is False where autovacuum or its counters are off."""

    busy: int
    most: int
    enabled: bool


class Totals(NamedTuple):
    """Of all tables of the database."""

    tables: int
    live_rows: int
    dead_rows: int


class TableStats(NamedTuple):
    """One table, or with `toast` the TOAST table of the one that is named.

    `dead_threshold` and `insert_threshold` are the rows after which autovacuum comes; None: it never does.
    `freeze_at` is the age at which it comes whatever else is set. `dead_size_bytes` is estimated from the share of
    dead rows, of all by the counters or by the catalogue, whichever is more: after a reset or a crash the counters
    begin at zero. `vacuumed_s` is the time since the last vacuum that finished; None where none is known.
    """

    oid: int
    schema: str
    name: str
    toast: bool
    live_rows: int
    dead_rows: int
    inserted_rows: int
    size_bytes: int
    dead_percent: float
    dead_size_bytes: float
    dead_threshold: float
    insert_threshold: float | None
    unfrozen_xids: int
    freeze_at: int
    vacuumed_s: float | None
    enabled: bool
    running: bool

    @property
    def shown(self) -> str:
        """Its name, quoted; of a TOAST table that of its table."""
        return quote_name(self.schema, self.name)

    @property
    def dead_ratio(self) -> float:
        """Dead rows, as a multiple of the threshold."""
        return self.dead_rows / max(self.dead_threshold, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatsReading:
    """`tables` are the first ones of each order, together."""

    workers: Workers
    totals: Totals
    tables: tuple[TableStats, ...] = ()


WORKERS = Query(
    name="table_stats_workers",
    row=Workers,
    columns=(
        Column("busy", "count(*)", unit="count"),
        Column("most", "current_setting('autovacuum_max_workers')::int8", unit="count"),
        Column(
            "enabled",
            "current_setting('autovacuum')::bool AND current_setting('track_counts')::bool",
            unit="flag",
        ),
    ),
    source="FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'",
)

TOTALS = Query(
    name="table_stats_totals",
    row=Totals,
    columns=(
        Column("tables", "count(*)", unit="count"),
        Column("live_rows", "coalesce(sum(pg_stat_get_live_tuples(oid)), 0)::int8", unit="rows"),
        Column("dead_rows", "coalesce(sum(pg_stat_get_dead_tuples(oid)), 0)::int8", unit="rows"),
    ),
    source="FROM pg_class WHERE relkind IN ('r', 'm', 't') AND relpersistence <> 't'",
)

TABLES = Query(
    name="table_stats",
    row=TableStats,
    columns=(
        Column("oid", "t.oid::int8"),
        Column("schema", "n.nspname::text"),
        Column("name", "m.relname::text"),
        Column("toast", "t.relkind = 't'", unit="flag"),
        Column("live_rows", "t.live", "Rows alive, by the counters.", "rows"),
        Column("dead_rows", "t.dead", "Rows dead and not yet removed.", "rows"),
        Column("inserted_rows", "t.inserted", "Rows inserted since the last vacuum.", "rows"),
        Column("size_bytes", "t.size_bytes", "As of the last vacuum or analyze.", "bytes"),
        Column("dead_percent", "100 * t.dead_share", "Dead rows, of all rows.", "percent"),
        Column("dead_size_bytes", "t.dead_size_bytes", "Estimated size of the dead rows.", "bytes"),
        Column("dead_threshold", "t.dead_threshold", "Dead rows at which autovacuum comes.", "rows"),
        Column(
            "insert_threshold",
            "CASE WHEN t.insert_base >= 0 THEN t.insert_base + t.insert_scale * t.rows * CASE WHEN t.relpages > 0"
            " THEN 1 - least((SELECT relallfrozen FROM pg_class WHERE oid = t.oid)::float8 / t.relpages, 1)"
            " ELSE 1 END END",
            "Inserted rows at which autovacuum comes.",
            "rows",
            needs="pg_class.relallfrozen",
            otherwise="CASE WHEN t.insert_base >= 0 THEN t.insert_base + t.insert_scale * t.rows END",
        ),
        Column("unfrozen_xids", "t.unfrozen", "Transaction ids since its oldest row not frozen.", "count"),
        Column("freeze_at", "t.freeze_at", "Age at which autovacuum comes in any case.", "count"),
        Column(
            "vacuumed_s",
            "extract(epoch FROM clock_timestamp() - greatest(pg_stat_get_last_vacuum_time(t.oid),"
            " pg_stat_get_last_autovacuum_time(t.oid)))::float8",
            "Time since a vacuum of it finished.",
            "s",
        ),
        Column("enabled", "t.enabled", "Whether autovacuum may visit it.", "flag"),
        Column(
            "running",
            "EXISTS (SELECT FROM pg_stat_progress_vacuum AS p WHERE p.datname = current_database()"
            " AND p.relid = t.oid)",
            "Whether a vacuum works on it now.",
            "flag",
        ),
    ),
    source=f"""
    FROM (
      SELECT *, row_number() OVER (ORDER BY dead / greatest(dead_threshold, 1) DESC, oid) AS by_ratio,
             row_number() OVER (ORDER BY dead_size_bytes DESC, oid) AS by_size,
             row_number() OVER (ORDER BY inserted DESC, oid) AS by_inserted,
             row_number() OVER (ORDER BY unfrozen::float8 / greatest(freeze_at, 1) DESC, oid) AS by_age
      FROM (
        SELECT c.oid, c.relkind, c.main, c.relpages, s.live, s.dead, s.inserted, s.rows, age(c.relfrozenxid) AS unfrozen,
               c.relpages::int8 * current_setting('block_size')::int8 AS size_bytes,
               c.relpages * current_setting('block_size')::float8 * s.dead_share AS dead_size_bytes, s.dead_share,
               least(
                 coalesce(o.base, current_setting('autovacuum_vacuum_threshold')::float8)
                   + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * s.rows,
                 nullif(coalesce(o.most, current_setting('autovacuum_vacuum_max_threshold', true)::float8), -1)
               ) AS dead_threshold,
               coalesce(o.insert_base, current_setting('autovacuum_vacuum_insert_threshold')::float8) AS insert_base,
               coalesce(o.insert_scale, current_setting('autovacuum_vacuum_insert_scale_factor')::float8)
                 AS insert_scale,
               least(o.freeze_at, current_setting('autovacuum_freeze_max_age')::int8) AS freeze_at,
               coalesce(o.enabled, true) AS enabled
        FROM (
          SELECT c.oid, c.relkind, c.relpages, c.reltuples, c.relfrozenxid, coalesce(m.oid, c.oid) AS main,
                 coalesce(c.reloptions, m.reloptions) AS options
          FROM pg_class AS c
          LEFT JOIN pg_class AS m ON c.relkind = 't' AND m.reltoastrelid = c.oid
          WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't' AND c.relfrozenxid <> '0'
        ) AS c
        CROSS JOIN LATERAL (
          SELECT *, dead / greatest(live + dead, rows, 1) AS dead_share
          FROM (
            SELECT pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead,
                   pg_stat_get_ins_since_vacuum(c.oid) AS inserted, greatest(c.reltuples, 0)::float8 AS rows
          ) AS counted
        ) AS s
        LEFT JOIN LATERAL (
          SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold')::float8 AS base,
                 max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor')::float8 AS scale,
                 max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_max_threshold')::float8 AS most,
                 max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_insert_threshold')::float8
                   AS insert_base,
                 max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_insert_scale_factor')::float8
                   AS insert_scale,
                 max(option_value) FILTER (WHERE option_name = 'autovacuum_freeze_max_age')::int8 AS freeze_at,
                 bool_and(option_value::bool) FILTER (WHERE option_name = 'autovacuum_enabled') AS enabled
          FROM pg_options_to_table(c.options)
        ) AS o ON c.options IS NOT NULL
      ) AS measured
    ) AS t
    JOIN pg_class AS m ON m.oid = t.main
    JOIN pg_namespace AS n ON n.oid = m.relnamespace
    WHERE t.by_ratio <= {MOST} OR t.by_size <= {MOST} OR t.by_inserted <= {MOST} OR t.by_age <= {MOST}
    ORDER BY t.by_ratio
    """,
)


def read(reader: Reader) -> TableStatsReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (workers,) = reader.rows(WORKERS)
    (totals,) = reader.rows(TOTALS)
    return TableStatsReading(workers=workers, totals=totals, tables=reader.rows(TABLES))


COLLECTOR = Collector(
    name="table_stats",
    summary="Dead rows, inserted rows and ages of tables beside the thresholds of autovacuum",
    lane=LaneKind.DATABASES,
    interval_s=600.0,
    timeout_s=10.0,
    queries=(WORKERS, TOTALS, TABLES),
    read=read,
    tables={TABLES.name: lambda reading: reading.tables},
    families=(
        Family(
            name="live_rows",
            help="Rows alive in all tables of the database, by the counters.",
            rows=lambda reading: (reading.totals,),
            value=lambda row: row.live_rows,
        ),
        Family(
            name="dead_rows",
            help="Rows dead and not yet removed in all tables of the database.",
            rows=lambda reading: (reading.totals,),
            value=lambda row: row.dead_rows,
        ),
        Family(
            name="tables_waiting_for_vacuum",
            help="Tables, of those with most dead rows, that have more than autovacuum waits for.",
            rows=lambda reading: (reading,),
            value=lambda reading: sum(each.dead_ratio > 1 for each in reading.tables),
        ),
        Family(
            name="table_dead_rows",
            help="Rows dead and not yet removed, of the tables with most beside autovacuum's threshold.",
            rows=lambda reading: [each for each in reading.tables[:MOST] if each.dead_rows],
            value=lambda row: row.dead_rows,
            labels={"schema": lambda row: row.schema, "table": lambda row: row.name},
        ),
    ),
)
