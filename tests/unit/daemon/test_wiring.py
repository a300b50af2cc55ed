"""The daemon's parts together: what it takes up from its store, and how it leaves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.settings.loader import load
from daemon.settings.settings import Settings
from daemon.wiring import Daemon
from pgvigil.store import Store, StoreError

NOWHERE = '[[targets]]\nname = "shop"\ndsn = "host=127.0.0.1 port=1 dbname=shop"\n'

Configure = Callable[[str], Settings]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Settings of a daemon on a store of its own and any free port."""

    def write(more: str = "") -> Settings:
        file = tmp_path / "pgvigil.toml"
        head = f'[daemon]\nlisten = "127.0.0.1:0"\nstore = "sqlite:///{tmp_path}/pgvigil.db"\n'
        file.write_text(head + NOWHERE + more, encoding="utf-8")
        return load(file, {})

    return write


def test_a_start_that_fails_says_why_and_leaves_nothing_open(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What never began can be stopped, so that the trouble itself is told, and the store is free again."""

    def fail(_daemon: Daemon) -> None:
        raise StoreError("the disk is gone")

    settings = configure("")
    monkeypatch.setattr(Daemon, "_resolve_orphans", fail)
    daemon = Daemon(settings)
    with pytest.raises(StoreError, match="the disk is gone"):
        daemon.start()
    daemon.stop()
    Store.open(settings.daemon.store.reveal()).close()
