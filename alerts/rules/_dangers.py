"""Settings that lose data, hide its loss, or let a fault grow: each with what it does and where that is written."""

from collections.abc import Mapping
from typing import NamedTuple

from pgvigil.model.evidence import Step
from pgvigil.model.level import Level


class Danger(NamedTuple):
    """`bad` are the values that are dangerous. `own` says whether roles and databases may not have it either.

    `storage`: of no meaning where pages are not written to files of the server's own.
    """

    bad: frozenset[str]
    level: Level
    impact: str
    source: str
    good: str
    after: tuple[Step, ...] = ()
    own: bool = False
    storage: bool = False


_OFF, _ON = frozenset({"off"}), frozenset({"on"})
_MANUAL = "PostgreSQL manual, "
_WAL = _MANUAL + "Write Ahead Log: "
_DEVELOPER = _MANUAL + "Developer Options: "

DANGERS: Mapping[str, Danger] = {
    "fsync": Danger(
        _OFF,
        Level.CRITICAL,
        "After a power failure or a crash of the operating system the whole cluster may be corrupt beyond repair.",
        _WAL + "fsync",
        "on",
        (
            Step(
                "Then have everything written out that was not: run `initdb --sync-only` on the data directory, or"
                " `sync` on the machine. Until then old writes may still be lost."
            ),
        ),
        storage=True,
    ),
    "full_page_writes": Danger(
        _OFF,
        Level.CRITICAL,
        "A crash in the middle of writing a page leaves it half old and half new, and recovery cannot mend it.",
        _WAL + "full_page_writes",
        "on",
        (
            Step(
                "If the file system writes pages atomically (ZFS with a fitting record size), put full_page_writes into"
                " this rule's `ignore` instead."
            ),
        ),
        storage=True,
    ),
    "zero_damaged_pages": Danger(
        _ON,
        Level.CRITICAL,
        "A damaged page is replaced by an empty one when it is read: all its rows are gone, with no more than a warning.",
        _DEVELOPER + "zero_damaged_pages",
        "off",
        own=True,
    ),
    "ignore_checksum_failure": Danger(
        _ON,
        Level.WARNING,
        "Pages whose checksum is wrong are used: crashes follow, and damage is copied on and hidden.",
        _DEVELOPER + "ignore_checksum_failure",
        "off",
        own=True,
    ),
    "ignore_invalid_pages": Danger(
        _ON,
        Level.WARNING,
        "Recovery goes on although WAL refers to pages that are not there: data may be missing, and nobody is told.",
        _DEVELOPER + "ignore_invalid_pages",
        "off",
    ),
    "ignore_system_indexes": Danger(
        _ON,
        Level.WARNING,
        "System catalogues are read without their indexes: everything is slow, and damage to the indexes stays unnoticed.",
        _DEVELOPER + "ignore_system_indexes",
        "off",
        own=True,
    ),
    "data_sync_retry": Danger(
        _ON,
        Level.WARNING,
        "When flushing to disk fails the server tries again, and on Linux the second try may succeed without the data.",
        _MANUAL + "Error Handling: data_sync_retry",
        "off",
    ),
    "allow_system_table_mods": Danger(
        _ON,
        Level.WARNING,
        "System catalogues can be altered by hand, and one wrong statement makes the database unusable.",
        _DEVELOPER + "allow_system_table_mods",
        "off",
        own=True,
    ),
    "autovacuum": Danger(
        _OFF,
        Level.WARNING,
        "Tables bloat and statistics grow old, until a vacuum against wraparound is forced at the worst moment.",
        _MANUAL + "Routine Vacuuming",
        "on",
        (
            Step(
                "Then vacuum what waited longest by hand, at a quiet hour; see dead_tuples and xid_wraparound."
            ),
        ),
    ),
    "track_counts": Danger(
        _OFF,
        Level.WARNING,
        "Autovacuum does not know what to do and does nothing, and tables have no statistics of use.",
        _MANUAL + "Run-time Statistics: track_counts",
        "on",
        own=True,
    ),
    "session_replication_role": Danger(
        frozenset({"replica", "local"}),
        Level.WARNING,
        "Foreign keys are not checked and ordinary triggers do not fire: rows without their parents are stored.",
        _MANUAL + "Client Connection Defaults: session_replication_role",
        "origin",
        (Step("Then look for rows that break a foreign key; new ones are checked again, old ones are not."),),
        own=True,
    ),
    "synchronous_commit": Danger(
        _OFF,
        Level.INFO,
        "Commits of the last moments before a crash are lost (up to three times wal_writer_delay), though clients were"
        " told that they are safe. Nothing becomes inconsistent.",
        _MANUAL + "Asynchronous Commit",
        "on",
    ),
    # The server shows "(disabled)" while archive_mode is off.
    "archive_command": Danger(
        frozenset({"true", "/bin/true", ":", "exit 0"}),
        Level.INFO,
        "WAL is declared archived and thrown away: no backup can be recovered to a later point in time.",
        _MANUAL + "Setting Up WAL Archiving",
        "",
    ),
    "password_encryption": Danger(
        frozenset({"md5"}),
        Level.INFO,
        "New passwords are stored as MD5 hashes, which are easily replayed and will no longer work in a later version.",
        _MANUAL + "Password Authentication; release notes of 18",
        "scram-sha-256",
        own=True,
    ),
}
