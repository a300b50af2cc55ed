"""A store as older programs left it: what newer migrations made is taken out again."""

import sqlite3


def undo_0004(store: sqlite3.Connection) -> None:
    """What people do to incidents was not kept, nor were silences, markers and readings, nor what routes say of time."""
    undo_0017(store)
    store.execute("DROP TABLE sample_block")
    undo_0016(store)
    undo_0010(store)
    store.execute("DROP TABLE marker")
    undo_0007(store)
    store.execute("DROP TABLE silence")
    store.execute("DROP TABLE action")
    for column in ("acknowledged_at", "acknowledged_level"):
        store.execute(f"ALTER TABLE incident DROP COLUMN {column}")


def undo_0007(store: sqlite3.Connection) -> None:
    """Routes said nothing of time."""
    store.execute("ALTER TABLE delivery DROP COLUMN why")


def undo_0010(store: sqlite3.Connection) -> None:
    """Nobody was reminded of anything."""
    for column in ("want_reminder", "seen_reminder", "told_at"):
        store.execute(f"ALTER TABLE delivery DROP COLUMN {column}")
    for column in ("unattended_since", "was_silenced_by"):
        store.execute(f"ALTER TABLE incident DROP COLUMN {column}")


def undo_0016(store: sqlite3.Connection) -> None:
    """An incident did not say who keeps it quiet."""
    for column in ("silencer", "silenced_until"):
        store.execute(f"ALTER TABLE incident DROP COLUMN {column}")


def undo_0017(store: sqlite3.Connection) -> None:
    """A digest was of a pause, and was over once it was told."""
    store.execute("DROP TABLE storm")
    store.execute("ALTER TABLE digest DROP COLUMN cause")
