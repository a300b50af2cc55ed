from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest

from pgvigil.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "pgvigil.db"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store; copying it is quicker than making each test's own."""
    made = tmp_path_factory.mktemp("migrated") / "pgvigil.db"
    Store.open(f"sqlite:///{made}").close()
    return made


@pytest.fixture
def store(migrated: Path, path: Path) -> Iterator[Store]:
    """A store in a file, as a daemon opens it."""
    opened = Store.open(f"sqlite:///{copy(migrated, path)}")
    yield opened
    opened.close()
