"""What is asked of a store while its disk fails, and what is true of it when the disk is well again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pgvigil.model.delivery import Want
from pgvigil.model.evidence import Block, BlockKind, Evidence
from pgvigil.model.incident import Transition
from pgvigil.model.level import Level
from pgvigil.store import Store
from pgvigil.store.failover import DiskLimits, Turn
from pgvigil.store.memory import held
from tests.support.views import incident

WANT = [Want(0, "oncall", Level.CRITICAL)]
SOON = DiskLimits(write_s=0.3, probe_every_s=0.1, again_s=0.05)


def big(subject: str) -> Transition:
    evidence = Evidence(blocks=(Block(BlockKind.TEXT, "", "x" * 200_000),))
    return Transition("opened", None, incident(id=0, subject=subject, evidence=evidence))


def small(subject: str) -> Transition:
    return Transition("opened", None, incident(id=0, subject=subject))


def commit_until_full(store: Store) -> int:
    """How many there are when the disk has refused one."""
    for number in range(1000):
        store.incidents.commit([big(str(number))], WANT)
        if not store.writable:
            return number + 1
    raise AssertionError("the disk was never full")


def assert_whole(store: Store, count: int) -> None:
    kept = store.incidents.list(limit=None)
    assert len(kept) == count
    for each in kept:
        assert len(store.incidents.history(each.id)) == 1
        assert len(store.deliveries.of_incident(each.id)) == 1


def in_file(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the file that the memory holds too, by table."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as plain:
        return {
            table.name: sorted(plain.execute(f"SELECT * FROM {table.name}").fetchall(), key=repr)
            for table in held()
        }


def in_memory(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    raw = store._failover._memory._raw
    return {
        table.name: sorted(raw.execute(f"SELECT * FROM {table.name}").fetchall(), key=repr)
        for table in held()
    }


def assert_same(store: Store) -> None:
    """The file has what the memory has, but for its own note of who writes."""
    file, memory = in_file(store.path), in_memory(store)
    for tables in (file, memory):
        tables["state"] = [row for row in tables["state"] if row[0] != "writer"]
    assert file == memory


@contextmanager
def opened(path: Path, turns: list[Turn] | None = None, limits: DiskLimits = SOON) -> Iterator[Store]:
    store = Store.open(
        f"sqlite:///{path}", limits=limits, on_turn=turns.append if turns is not None else lambda _turn: None
    )
    try:
        yield store
    finally:
        store.close()
