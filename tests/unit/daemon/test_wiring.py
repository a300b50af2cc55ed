"""The daemon's parts together: what it takes up from its store, and how it leaves."""

import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.fleet import Fleet
from daemon.settings.errors import ConfigErrors
from daemon.settings.loader import load
from daemon.settings.settings import Settings
from daemon.wiring import Daemon
from pgvigil.model.incident import Incident, Transition
from pgvigil.store import Store, StoreError
from tests.support.views import incident

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


def open_incidents(settings: Settings) -> list[Incident]:
    store = Store.open(settings.daemon.store.reveal())
    try:
        return store.incidents.open()
    finally:
        store.close()


def test_incidents_that_nobody_reads_for_any_more_end(configure: Configure) -> None:
    """With its collector switched off an incident would stand as firing for good."""
    settings = configure("[collectors.constraints]\nenabled = false\n")
    store = Store.open(settings.daemon.store.reveal())
    for rule in ("constraint_not_valid", "blocking_chain"):
        store.incidents.commit([Transition("fired", None, incident(id=0, rule=rule, target="shop"))])
    store.close()
    Daemon(settings).stop()
    assert [one.rule for one in open_incidents(settings)] == ["blocking_chain"]


def test_a_start_that_fails_says_why_and_leaves_nothing_open(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What never began can be stopped, so that the trouble itself is told, and the store is free again."""

    def fail(_fleet: Fleet) -> None:
        raise StoreError("the disk is gone")

    settings = configure("")
    monkeypatch.setattr(Fleet, "_resolve_orphans", fail)
    daemon = Daemon(settings)
    with pytest.raises(StoreError, match="the disk is gone"):
        daemon.start()
    daemon.stop()
    Store.open(settings.daemon.store.reveal()).close()


def test_what_tells_whether_a_target_is_up_cannot_be_switched_off(configure: Configure) -> None:
    """Without it a target that was down once would count as down for good."""
    with pytest.raises(ConfigErrors, match=r"collectors\.availability\.enabled: cannot be switched off"):
        configure("[collectors.availability]\nenabled = false\n")


def test_metrics_are_answered_when_the_store_cannot_be_read(configure: Configure) -> None:
    """What is not known is not shown; everything else is, most of all whether the targets are up."""
    daemon = Daemon(configure('[sinks.screen]\nkind = "console"\n'))
    daemon.start()
    try:
        assert 'pgvigil_outbox_pending{sink="screen"} 0.0' in metrics(daemon)
        daemon._store._failover._memory.write(
            lambda connection: connection.exec_driver_sql("ALTER TABLE delivery RENAME TO lost")
        )
        shown = metrics(daemon)
        assert 'pgvigil_target_up{target="shop"} 0.0' in shown
        assert "pgvigil_outbox_pending" not in shown
    finally:
        daemon.stop()


def metrics(daemon: Daemon) -> str:
    with urllib.request.urlopen(f"{daemon.url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text
