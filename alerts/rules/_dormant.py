"""Why a rule cannot fire while a server is as it is, in words that follow "because". None where it can.

Each takes the rows of one reading. What has only not happened yet (no deadlock, no failure) makes no rule dormant.
"""

from typing import Any

from collectors.archiver import ArchiverReading
from collectors.certificate import CertificateReading
from collectors.database_stats import DatabaseStatsReading
from collectors.replication import ReplicationReading
from collectors.replication_slots import SlotsReading
from collectors.subscriptions import SubscriptionsReading
from collectors.wal_receiver import WalReceiverReading
from pgvigil.plugins import Context

_ERRORS_SINCE = 150_000
_EVICTIONS_SINCE = 140_000


def no_archive(rows: ArchiverReading, _context: Context) -> str | None:
    if not rows.archiver.configured:
        return "the server is not set up to archive its log"
    return None if rows.archiver.active else "the server archives nothing in the role that it has now"


def no_certificate(rows: CertificateReading, _context: Context) -> str | None:
    return "the server offers no TLS on the way that it is watched" if rows.certificate is None else None


def no_checksums(rows: DatabaseStatsReading, _context: Context) -> str | None:
    counted = any(row.checksum_failures is not None for row in rows.databases)
    return None if counted else "data checksums are off"


def no_session_counts(rows: DatabaseStatsReading, _context: Context) -> str | None:
    counted = any(row.sessions is not None for row in rows.databases)
    return None if counted else "PostgreSQL counts sessions from version 14 on"


def no_disk_size(_rows: Any, context: Context) -> str | None:
    return None if context.disk_size_bytes is not None else "disk_size of the target is not set"


def no_prepared_transactions(_rows: Any, context: Context) -> str | None:
    return _off(context, "max_prepared_transactions", "0", "max_prepared_transactions is 0")


def no_statements(_rows: Any, context: Context) -> str | None:
    return _off(context, "pg_stat_statements.track", "none", "pg_stat_statements.track is none")


def no_activities(_rows: Any, context: Context) -> str | None:
    return _off(context, "track_activities", "off", "track_activities is off")


def no_counts(_rows: Any, context: Context) -> str | None:
    return _off(context, "track_counts", "off", "track_counts is off")


def no_evictions(rows: Any, context: Context) -> str | None:
    if context.facts is not None and context.facts.version_num < _EVICTIONS_SINCE:
        return "PostgreSQL counts evictions from version 14 on"
    return no_statements(rows, context)


def primary(_rows: Any, context: Context) -> str | None:
    return "the server is no standby" if context.facts is not None and not context.facts.in_recovery else None


def follows_nobody(rows: WalReceiverReading, _context: Context) -> str | None:
    if rows.standby is None:
        return "the server is no standby"
    return "the standby streams from no server" if rows.standby.follows is False else None


def no_replica(rows: ReplicationReading | WalReceiverReading, context: Context) -> str | None:
    if isinstance(rows, WalReceiverReading):
        return follows_nobody(rows, context)
    return None if rows.replicas or rows.hidden else "no standby is connected"


def no_slot(rows: SlotsReading, _context: Context) -> str | None:
    return None if rows.slots else "there are no replication slots"


def no_subscription(rows: SubscriptionsReading, _context: Context) -> str | None:
    return None if rows.subscriptions or rows.unreadable else "there are no subscriptions"


def no_subscription_errors(rows: SubscriptionsReading, context: Context) -> str | None:
    if context.facts is not None and context.facts.version_num < _ERRORS_SINCE:
        return "PostgreSQL counts errors of subscriptions from version 15 on"
    return no_subscription(rows, context)


def alone(_rows: Any, context: Context) -> str | None:
    return None if context.peers else "no other target is the same cluster"


def _off(context: Context, setting: str, value: str, why: str) -> str | None:
    """A setting that is not known proves nothing."""
    return why if context.facts is not None and context.facts.settings.get(setting) == value else None
