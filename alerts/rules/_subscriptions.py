"""What the rules about subscriptions share."""

from alerts.rules._tables import table_block
from collectors.subscriptions import Subscription, SubscriptionsReading
from pgvigil.model.evidence import Block, Figure
from pgvigil.model.finding import Scope
from pgvigil.text import one_line
from pgvigil.units import format_duration

LOOK = (
    "SELECT s.subname, s.subenabled, w.pid, w.relid::regclass AS copies, w.received_lsn, w.last_msg_receipt_time"
    " FROM pg_subscription AS s LEFT JOIN pg_stat_subscription AS w ON w.subid = s.oid"
    " WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_STATES = {"i": "waits for its copy", "d": "copies", "f": "has copied", "s": "catches up"}
_SHOWN = 10


def subject(row: Subscription) -> str:
    return f"subscription {one_line(row.name, 120)}"


def entity(row: Subscription) -> str:
    """For `about` and `explains`."""
    return f"subscription {row.name}"


def shown(row: Subscription) -> str:
    return one_line(row.name, 63)


def unreadable(database: str | None) -> Scope:
    """Of a reading that could not look into them: what fires there becomes unknown."""
    here = None if database is None else frozenset({database})
    return Scope(databases=here, only=frozenset(), reason="the role may not look into subscriptions")


def figures(row: Subscription) -> tuple[Figure, ...]:
    heard = "never" if row.message_age_s is None else f"{format_duration(max(0.0, row.message_age_s))} ago"
    return (
        Figure("Enabled", "yes" if row.enabled else "no"),
        Figure("Worker", "none" if row.pid is None else f"pid {row.pid}"),
        Figure("Heard from the publisher", heard),
        *((Figure("Slot there", one_line(row.slot, 63)),) if row.slot else ()),
        *_counted("Errors while applying", row.apply_errors),
        *_counted("Errors while copying", row.sync_errors),
        *_counted("Conflicts", row.conflicts),
        Figure("Tables", f"{row.tables:,}, {row.unready:,} of them not copied yet"),
    )


def unready_block(row: Subscription, rows: SubscriptionsReading) -> tuple[Block, ...]:
    mine = [
        (f"{each.schema}.{each.name}", _STATES.get(each.state, each.state))
        for each in rows.unready
        if each.subscription == row.name
    ]
    return (table_block("Tables that are not copied yet", ("table", "state"), mine, _SHOWN),) if mine else ()


def _counted(name: str, number: int | None) -> tuple[Figure, ...]:
    return () if number is None else (Figure(name, f"{number:,}"),)
