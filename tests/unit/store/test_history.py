"""What is remembered of readings: written and read back, forgotten with what it is of, bounded."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pgvigil.model.change import Change
from pgvigil.model.history import (
    History,
    KeptChange,
    KeptJournal,
    KeptSeries,
    Place,
    SeriesName,
    Unsaved,
)
from pgvigil.model.incident import Transition
from pgvigil.store import Store, StoreError
from pgvigil.store.care import Keep
from tests.support.disks import fill
from tests.support.revisions import undo_0004
from tests.support.views import T0, incident

SERVER = Place("settings", None)
SHOP, CRM = Place("relation_sizes", "shop"), Place("relation_sizes", "crm")
HOSTILE = "a'\";--\udcff\u202e"


def series(place: Place, key: str = "t", points: bytes = b"x" * 16, seen_at: datetime = T0) -> KeptSeries:
    return KeptSeries(SeriesName(place, "size", key), "since 10:00", points, seen_at)


def change(place: Place, key: str = "work_mem", at: datetime = T0) -> KeptChange:
    after = at - timedelta(minutes=1)
    return KeptChange(
        place, Change(database=place.database, key=key, old="4MB", new=None, after=after, at=at)
    )


FULL = Unsaved(
    cluster=-7_123_456_789,
    series=[series(SHOP), series(CRM, HOSTILE), series(SERVER)],
    journals=[KeptJournal(SERVER, {"port": "5432", HOSTILE: HOSTILE}, T0), KeptJournal(SHOP, {}, T0)],
    seen={},
    changes=[change(SERVER), change(SHOP, HOSTILE)],
)
KEPT = History(cluster=FULL.cluster, series=FULL.series, journals=FULL.journals, changes=FULL.changes)


def test_what_is_saved_is_loaded_also_by_the_next_process(path: Path) -> None:
    with closing(Store.open(f"sqlite:///{path}")) as store:
        assert store.history.load("orders") == History(series=[], journals=[], changes=[])
        store.history.save({"orders": FULL, "billing": Unsaved(seen={}, changes=[change(SERVER)])})
        assert store.history.load("orders") == KEPT
    with closing(Store.open(f"sqlite:///{path}")) as store:
        assert store.history.load("orders") == KEPT
        assert store.history.load("billing").changes == [change(SERVER)]
    with closing(Store.open(f"sqlite:///{path}", exclusive=False)) as reader:
        assert reader.history.load("orders") == KEPT


def test_what_is_written_twice_is_there_once_and_as_the_last_time(store: Store) -> None:
    """The disk may have taken what its caller gave up."""
    store.history.save({"orders": FULL})
    newer = series(SHOP, points=b"y" * 32, seen_at=T0 + timedelta(minutes=10))
    store.history.save(
        {
            "orders": Unsaved(
                cluster=5,
                series=[newer],
                journals=[KeptJournal(SHOP, {"a": "b"}, T0)],
                seen={SERVER: T0 + timedelta(hours=1)},
                changes=FULL.changes,
            )
        }
    )
    loaded = store.history.load("orders")
    assert loaded.cluster == 5
    assert loaded.series == [newer, *FULL.series[1:]]
    assert loaded.changes == FULL.changes
    assert loaded.journals == [
        KeptJournal(SERVER, FULL.journals[0].known, T0 + timedelta(hours=1)),
        KeptJournal(SHOP, {"a": "b"}, T0),
    ]


def test_what_is_gone_goes_before_what_is_new_comes(store: Store) -> None:
    store.history.save({"orders": FULL, "billing": FULL})
    name = FULL.series[1].name
    store.history.save({"orders": Unsaved(gone_series=[name], gone_databases={"shop"}, seen={})})
    left = store.history.load("orders")
    assert (left.series, left.changes) == ([FULL.series[2]], [FULL.changes[0]])
    assert left.journals == [FULL.journals[0]]
    store.history.save({"orders": Unsaved(gone_feeds={"settings"}, series=[series(SERVER, "new")], seen={})})
    left = store.history.load("orders")
    assert (left.series, left.journals) == ([series(SERVER, "new")], [])
    assert left.changes == [FULL.changes[0]]  # they did happen
    store.history.save({"orders": Unsaved(anew=True, cluster=8, series=[series(CRM)], seen={})})
    assert store.history.load("orders") == History(cluster=8, series=[series(CRM)], journals=[], changes=[])
    assert store.history.load("billing") == KEPT


def test_it_is_pruned_by_age_number_and_target(store: Store) -> None:
    days = [T0 + timedelta(days=day) for day in range(10)]
    busy = Unsaved(
        cluster=1,
        series=[series(SHOP, str(at), seen_at=at) for at in days],
        journals=[KeptJournal(Place(str(at), None), {}, at) for at in days],
        seen={},
        changes=[change(SERVER, at=at) for at in days],
    )
    store.history.save({"orders": busy, "billing": busy, "gone": busy})
    keep = Keep(
        resolved_since=T0,
        targets=frozenset({"orders", "billing"}),
        changes_since=days[2],
        read_since=days[3],
        most_changes=5,
    )
    pruned = store.prune(keep)
    assert (pruned.series, pruned.changes) == (2 * (3 + 3), 2 * 5)
    left = store.history.load("orders")
    assert left == store.history.load("billing")
    assert [each.seen_at for each in left.series] == [each.seen_at for each in left.journals] == days[3:]
    assert [each.change.at for each in left.changes] == days[5:]
    assert store.history.load("gone") == History(series=[], journals=[], changes=[])
    assert store.rows()["cluster"] == 2
    assert store.prune(keep).changes == 0


def test_a_store_of_the_second_revision_is_upgraded_with_what_it_holds(path: Path) -> None:
    with closing(Store.open(f"sqlite:///{path}")) as store:
        (kept,) = store.incidents.commit([Transition("fired", None, incident(id=0))], [])
        store.state.put("channel", "C1")
        store.texts.put("orders", {(1, 2, 3): "select 1"})
    with closing(sqlite3.connect(path)) as plain, plain:
        for table in ("cluster", "series", "journal", "journal_change"):
            plain.execute(f"DROP TABLE {table}")
        undo_0004(plain)
        plain.execute("UPDATE alembic_version SET version_num = '0002'")
    with closing(Store.open(f"sqlite:///{path}")) as store:
        assert store.incidents.get(kept.id) == replace(kept, unattended_since=kept.fired_at)
        assert store.state.get("channel") == "C1"
        assert store.texts.get("orders", [(1, 2, 3)]) == {(1, 2, 3): "select 1"}
        store.history.save({"orders": FULL})
        assert store.history.load("orders") == KEPT
    assert path.with_name(f"{path.name}.before-0002").exists()


def test_a_full_disk_refuses_it_and_nothing_else_fails(small_disk: Path) -> None:
    with closing(Store.open(f"sqlite:///{small_disk}/pgvigil.db")) as store:
        ballast = fill(small_disk)
        with pytest.raises(StoreError):
            store.history.save({"orders": Unsaved(series=[series(SHOP, points=b"x" * 2_000_000)], seen={})})
        store.incidents.commit([Transition("fired", None, incident(id=0))], [])
        assert len(store.incidents.open()) == 1
        ballast.unlink()
