"""What is different between two configurations, and that a reload is whole or nothing."""

import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from alerts.outbox.worker import OutboxWorker
from alerts.sinks.console import SINK
from daemon.reload import Changes, Reload, changes
from daemon.settings.loader import load
from daemon.wiring import Daemon
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.store import Store, StoreError
from tests.support.gateway import running_gateway
from tests.support.polling import poll
from tests.support.views import incident

SHOP = '[[targets]]\nname = "shop"\ndsn = "host=127.0.0.1 port=1 dbname=shop"\n'
CELLAR = '[[targets]]\nname = "cellar"\ndsn = "host=127.0.0.1 port=1 dbname=cellar"\n'
SCREEN = '[sinks.screen]\nkind = "console"\nstream = "stderr"\n'
PAGER = '[sinks.pager]\nkind = "console"\nstream = "stderr"\n'

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The configuration file, with these sections and more keys of [daemon]."""

    def put(sections: str, daemon: str = "") -> Path:
        file = tmp_path / "pgvigil.toml"
        head = f'[daemon]\nlisten = "127.0.0.1:0"\nstore = "sqlite:///{tmp_path}/pgvigil.db"\n'
        file.write_text(f"{head}{daemon}\n{sections}", encoding="utf-8")
        return file

    return put


def compared(write: Write, before: str, after: str, daemon: str = "") -> Changes:
    first = load(write(before), {})
    return changes(first, load(write(after, daemon), {}), first.daemon)


def test_the_same_file_is_no_change(write: Write) -> None:
    sections = (
        SHOP
        + SCREEN
        + '[rules.threshold.instances.many]\ncollector = "activity"\ncolumn = "sessions"\nwarning = 5\n'
    )
    same = compared(write, sections, sections)
    assert same.shown() == {}
    assert same.restart == {}


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (SHOP, SHOP + CELLAR, {"targets_added": ["cellar"]}),
        (SHOP + CELLAR, SHOP, {"targets_removed": ["cellar"]}),
        (SHOP, SHOP + "enabled = false\n", {"targets_removed": ["shop"]}),
        (SHOP, SHOP + 'labels = { env = "prod" }\n', {"targets_changed": ["shop"]}),
        (SHOP, SHOP + "[rules.slow_query]\nwarning = '1s'\n", {"rules_changed": ["slow_query"]}),
        (SHOP, SHOP + "[rules.slow_query]\nenabled = false\n", {"rules_changed": ["slow_query"]}),
        (
            SHOP,
            SHOP + "[rules.slow_query.overrides.shop]\nwarning = '1s'\n",
            {"rules_changed": ["slow_query"]},
        ),
        (
            SHOP,
            SHOP
            + '[rules.threshold.instances.many]\ncollector = "activity"\ncolumn = "sessions"\nwarning = 5\n',
            {"rules_changed": ["threshold.many"]},
        ),
        (SHOP, SHOP + '[collectors.activity]\ninterval = "7s"\n', {"collectors_changed": ["activity"]}),
        (SHOP + SCREEN, SHOP + PAGER, {"sinks_added": ["pager"], "sinks_removed": ["screen"]}),
        (SHOP + SCREEN, SHOP + SCREEN + 'format = "json"\n', {"sinks_changed": ["screen"]}),
        (
            SHOP + SCREEN,
            SHOP
            + SCREEN
            + '[[routes]]\nsinks = ["screen"]\n[metrics]\ntop_k = 3\n[retention]\nincidents = "9d"\n',
            {"settings_changed": ["routes", "metrics.top_k", "retention.incidents"]},
        ),
    ],
)
def test_every_difference_has_its_name(
    write: Write, before: str, after: str, shown: dict[str, list[str]]
) -> None:
    assert compared(write, before, after).shown() == shown


def test_what_waits_for_a_restart_is_named_with_both_values_and_what_does_not_is_not(write: Write) -> None:
    there = compared(write, SHOP, SHOP, 'workers = 3\nlog_level = "debug"\ndigest_after = "1h"')
    assert there.restart == {"daemon.workers": ("16", "3")}
    assert there.shown() == {"settings_changed": ["daemon.log_level", "daemon.digest_after"]}


class Running:
    """A daemon, and reloads of its file."""

    def __init__(self, write: Write, sections: str) -> None:
        self._write = write
        self.daemon = Daemon(load(write(sections), {}))
        self.events: list[Any] = []

    def reload(self, sections: str, daemon: str = "") -> bool:
        reload = Reload(self.daemon, self._write(sections, daemon), {})
        with structlog.testing.capture_logs() as events:
            taken = reload()
        self.events += events
        return taken

    def names(self) -> list[str]:
        return [view.name for view in self.daemon.board.targets]

    def slugs(self) -> list[str]:
        return sorted(problem.slug for problem in self.daemon.board.problems)


Run = Callable[[str], Running]


@pytest.fixture
def run(write: Write) -> Iterator[Run]:
    started: list[Running] = []

    def begin(sections: str) -> Running:
        running = Running(write, sections)
        running.daemon.start()
        started.append(running)
        return running

    yield begin
    for running in started:
        running.daemon.stop()


def threads() -> int:
    return sum(thread.name.startswith("outbox-") for thread in threading.enumerate())


def test_a_refused_file_is_a_problem_until_one_is_taken(run: Run) -> None:
    running = run(SHOP + SCREEN)
    assert not running.reload(SHOP + SCREEN + "[rules.slow_qery]\n")
    [said] = [event for event in running.events if event["event"] == "config_refused"]
    [error] = said["errors"]
    assert error["file"].endswith("pgvigil.toml")
    assert (error["line"], error["key"]) == (11, "rules.slow_qery")
    assert error["hint"] == 'did you mean "slow_query"?'
    assert running.slugs() == ["config-refused"]
    assert running.reload(SHOP + SCREEN)
    assert running.slugs() == []


def test_problems_of_the_file_come_and_go_with_it(run: Run) -> None:
    """Those that do not keep it from being taken, and what needs a restart."""
    running = run(SHOP + SCREEN)
    assert running.reload(SHOP, "workers = 3")
    assert running.slugs() == ["no-sinks", "restart-needed"]
    assert running.reload(SHOP + SCREEN)
    assert running.slugs() == []


def test_pushing_begins_moves_and_ends_with_the_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.reporting.PUSH_S", 0.1)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = run(SHOP + SCREEN)
    with running_gateway() as first, running_gateway() as second:
        for gateway in (first, second):
            push = f'[metrics]\npush_url = "http://127.0.0.1:{gateway.port}"\n'
            assert running.reload(SHOP + SCREEN + push)
            poll(partial(getattr, gateway, "received"), 5)
        before = len(first.received)
        poll(lambda: len(second.received) > 3, 5)
        assert len(first.received) <= before + 1, "one may have been under way"
        assert running.reload(SHOP + SCREEN)
        assert "push" not in running.daemon._ticker._first_after_s


def test_the_page_links_to_the_grafana_of_today(run: Run) -> None:
    running = run(SHOP + SCREEN)
    assert running.reload(SHOP + SCREEN + '[metrics]\ngrafana_url = "https://grafana.example.com"\n')
    with urllib.request.urlopen(running.daemon.url, timeout=10) as answer:
        assert "https://grafana.example.com" in answer.read().decode()


def test_when_the_last_sink_cannot_be_built_nothing_of_the_rest_holds(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What throws may be anything; what was built before it is taken down again."""
    running = run(SHOP + SCREEN)
    before = threads()

    def broken(name: str, params: Any, public_url: str) -> Any:
        if name == "pager":
            raise ZeroDivisionError
        return SINK.build(name, params, public_url)

    monkeypatch.setattr("pgvigil.registry.sinks", lambda: {"console": replace(SINK, build=broken)})
    assert not running.reload(SHOP + CELLAR + SCREEN + 'format = "json"\n' + PAGER)
    assert running.names() == ["shop"]
    assert threads() == before
    assert any("The sink pager cannot be set up" in str(event) for event in running.events)
    monkeypatch.undo()
    assert running.reload(SHOP + CELLAR + SCREEN + PAGER)
    assert running.names() == ["cellar", "shop"]


def test_when_a_thread_cannot_be_had_for_a_sink_nothing_holds(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run(SHOP + SCREEN)
    before, start = threads(), OutboxWorker.start

    def refuse(worker: OutboxWorker, after: threading.Event | None = None) -> None:
        if worker.name == "pager":
            raise RuntimeError("can't start new thread")
        start(worker, after)

    monkeypatch.setattr(OutboxWorker, "start", refuse)
    assert not running.reload(SHOP + CELLAR + SCREEN + 'format = "json"\n' + PAGER)
    assert running.names() == ["shop"]
    poll(lambda: threads() == before, 5)
    monkeypatch.undo()
    assert running.reload(SHOP + SCREEN + PAGER)
    poll(lambda: threads() == before + 1, 5)


def test_when_the_store_cannot_be_read_a_new_target_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run(SHOP + SCREEN)

    def fail(*_: Any) -> Any:
        raise StoreError("the disk is gone")

    monkeypatch.setattr("pgvigil.store.incidents.Incidents.recent", fail)
    assert not running.reload(SHOP + CELLAR)
    assert running.names() == ["shop"]
    assert running.slugs() == ["config-refused"]


def test_a_removed_targets_incidents_end_when_the_store_can_be_written_again(
    write: Write, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reload itself does not wait for that; and a target that returns meanwhile keeps its incident."""
    settings = load(write(SHOP + CELLAR + SCREEN), {})
    store = Store.open(settings.daemon.store.reveal())
    for target in ("shop", "cellar"):
        fired = incident(id=0, target=target, database=None)
        store.incidents.commit([Transition("fired", None, fired)])
    store.close()
    running = run(SHOP + CELLAR + SCREEN)
    store = running.daemon._store

    def fail(*_: Any) -> Any:
        raise StoreError("the disk is full")

    def states() -> dict[str, State]:
        found: list[Incident] = store.incidents.list()
        return {one.target: one.state for one in found if one.rule == "blocking_chain"}

    monkeypatch.setattr("pgvigil.store.incidents.Incidents.commit", fail)
    assert running.reload(SCREEN)
    assert running.names() == []
    assert running.reload(SHOP + SCREEN)
    assert State.RESOLVED not in states().values()
    monkeypatch.undo()
    poll(lambda: states()["cellar"] is State.RESOLVED, 10)
    assert states()["shop"] is not State.RESOLVED
