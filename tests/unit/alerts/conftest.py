from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest

from pgvigil.store import Store
from tests.unit.alerts.world import World


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; copying it is quicker."""
    made = tmp_path_factory.mktemp("store") / "pgvigil.db"
    Store.open(f"sqlite:///{made}").close()
    return made


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{copy(empty_store, tmp_path / 'pgvigil.db')}")
    yield opened
    opened.close()


@pytest.fixture
def world(store: Store) -> World:
    """A target whose incidents are in a store in a file."""
    return World(store)
