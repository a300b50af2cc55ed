"""What the rules about tables that wait for vacuum share."""

from alerts.rules._sessions import HORIZON, horizon_of
from collectors.table_stats import TableStats
from pgvigil.model.evidence import Step
from pgvigil.text import one_line
from pgvigil.units import format_duration

_RECENT_S = 3600.0


def entity(database: str | None, table: TableStats) -> str:
    """The table, for what is said of it by several rules."""
    return f"table {database}/{table.oid}"


def named(table: TableStats) -> str:
    name = one_line(table.shown, 80)
    return f"the TOAST table of {name}" if table.toast else name


def in_vain(table: TableStats) -> bool:
    """Whether a vacuum was there lately, and the rows are dead, or not frozen, all the same: somebody may see them."""
    lately = table.vacuumed_s is not None and table.vacuumed_s < _RECENT_S
    return lately and (table.dead_ratio > 1 or table.unfrozen_xids > table.freeze_at)


def horizons(database: str | None) -> frozenset[str]:
    """What a table is about when vacuum was there in vain."""
    return frozenset({HORIZON, *((horizon_of(database),) if database is not None else ())})


def vacuumed(table: TableStats) -> str:
    if table.running:
        return "now"
    return "not known" if table.vacuumed_s is None else f"{format_duration(table.vacuumed_s)} ago"


def holder_step() -> Step:
    return Step(
        "See who holds the xmin horizon (xmin_horizon_held): while somebody may still see the rows, vacuum is of no"
        " use.",
        "SELECT pid, usename, application_name, state, xact_start, greatest(age(backend_xid), age(backend_xmin))"
        " AS xids FROM pg_stat_activity WHERE backend_xid IS NOT NULL OR backend_xmin IS NOT NULL"
        " ORDER BY xids DESC LIMIT 5",
    )


def vacuum_step(table: TableStats, text: str) -> Step:
    """By hand: it takes no lock that stops reads or writes."""
    return Step(text, f"VACUUM (VERBOSE, ANALYZE) {table.shown}")
