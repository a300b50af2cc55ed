"""The disk of the store fails while the daemon runs: it says so, and people hear of everything all the same."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.disks import fill
from tests.support.frozen import Disk
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database


@pytest.fixture
def config(database: Database, slack: FakeSlack, tmp_path: Path) -> str:
    return oncall.idle_sessions(database, watched=database.name) + oncall.sink(slack, tmp_path)


def store_in(folder: Path) -> dict[str, str]:
    return {"PGVIGIL_DAEMON__STORE": f"sqlite:///{folder}/pgvigil.db", "NO_PROXY": "127.0.0.1"}


def states_in_file(folder: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{folder}/pgvigil.db?mode=ro", uri=True)) as plain:
        return [state for (state,) in plain.execute("SELECT state FROM incident ORDER BY id")]


def both_told_to_their_end(slack: FakeSlack) -> None:
    poll(lambda: [as_text(root).count("Resolved after") for root in slack.roots()] == [1, 1], 20)
    poll(lambda: [len(slack.replies(root["ts"])) for root in slack.roots()] == [1, 1], 20)
    assert not any("duplicate" in as_text(message) for message in slack.messages())


def missed_ticks(daemon: RunningDaemon) -> int:
    return sum(one["missed_ticks"] for one in daemon.target("shop")["collectors"])


def test_on_a_full_disk_all_is_told_at_once_and_written_down_later(
    database: Database, slack: FakeSlack, small_disk: Path, config: str, tmp_path: Path
) -> None:
    """One incident is open before and ends meanwhile; another begins and ends meanwhile."""
    with running_daemon(tmp_path, config, store_in(small_disk)) as daemon:
        with idle_in_transaction(database.dsn(), "SELECT 1", application_name="before"):
            daemon.wait_incident("idle_in_transaction", "firing")
            poll(lambda: len(slack.roots()) == 1)
            poll(lambda: daemon.metric("pgvigil_outbox_pending") == 0)
            ballast = fill(small_disk)
        with idle_in_transaction(database.dsn(), "SELECT 1", application_name="during") as session:
            poll(lambda: daemon.events("store_in_memory"), 30)
            poll(lambda: len(slack.roots()) == 2, 10, message="what begins meanwhile is told")
            assert daemon.metric("pgvigil_store_writable") == 0
            assert daemon.metric("pgvigil_store_in_memory") == 1
            assert daemon.get("/readyz") == (503, "the store cannot be written\n")
            assert daemon.get("/healthz") == (200, "ok\n")
            (second,) = daemon.incidents("idle_in_transaction", "firing")
            assert str(session.pid) in second["summary"]
            assert states_in_file(small_disk) == ["firing"]
        both_told_to_their_end(slack)
        assert states_in_file(small_disk) == ["firing"]
        ballast.unlink()
        poll(lambda: daemon.get("/readyz")[0] == 200, 30)
        assert states_in_file(small_disk) == ["resolved", "resolved"]
        (back,) = daemon.events("store_on_disk_again")
        assert back["rows"] > 0
        assert daemon.metric("pgvigil_store_in_memory") == 0
        assert not daemon.events("incidents_not_written")
        assert daemon.stop() == 0
    assert len(slack.messages()) == 4


def test_on_a_disk_that_hangs_all_goes_on_after_one_wait(
    database: Database, slack: FakeSlack, disk: Disk, config: str, tmp_path: Path
) -> None:
    """Whoever writes to it hangs in the kernel: nothing that matters does."""
    with running_daemon(tmp_path, config, store_in(disk.folder)) as daemon:
        with idle_in_transaction(database.dsn(), "SELECT 1", application_name="before"):
            daemon.wait_incident("idle_in_transaction", "firing")
            poll(lambda: len(slack.roots()) == 1)
            poll(lambda: daemon.metric("pgvigil_outbox_pending") == 0)
            missed = missed_ticks(daemon)
        with disk.frozen():
            with idle_in_transaction(database.dsn(), "SELECT 1", application_name="during"):
                poll(lambda: daemon.events("store_in_memory"), 30)
                poll(lambda: len(slack.roots()) == 2, 10, message="what begins meanwhile is told")
                assert daemon.get("/healthz") == (200, "ok\n")
            both_told_to_their_end(slack)
            assert (
                missed_ticks(daemon) <= missed + 5
            )  # of one a second: the one wait of 2 s, and a busy machine
        poll(lambda: daemon.get("/readyz")[0] == 200, 30)
        assert states_in_file(disk.folder) == ["resolved", "resolved"]
        assert daemon.stop() == 0


@pytest.mark.parametrize("freed", [True, False], ids=["space is back", "still full"])
def test_killed_while_in_memory_it_finds_what_it_told(
    freed: bool, database: Database, slack: FakeSlack, small_disk: Path, config: str, tmp_path: Path
) -> None:
    """What was posted and what ended while the file was behind is neither told twice nor marked."""
    with running_daemon(tmp_path, config, store_in(small_disk)) as daemon:
        with idle_in_transaction(database.dsn(), "SELECT 1", application_name="before"):
            daemon.wait_incident("idle_in_transaction", "firing")
            poll(lambda: len(slack.roots()) == 1)
            poll(lambda: daemon.metric("pgvigil_outbox_pending") == 0)
            ballast = fill(small_disk)
        with idle_in_transaction(database.dsn(), "SELECT 1", application_name="during"):
            poll(lambda: len(slack.roots()) == 2, 30, message="what begins meanwhile is told")
            poll(lambda: len(slack.messages()) == 3, 30, message="what ended meanwhile is told")
            poll(lambda: daemon.metric("pgvigil_outbox_pending") == 0)
            daemon.kill9()
            assert states_in_file(small_disk) == ["firing"]
            if freed:
                ballast.unlink()
            daemon.start_again()
            (again,) = poll(lambda: daemon.incidents("idle_in_transaction", "firing"), 30)
            assert again["id"] != "INC-2"
            poll(lambda: daemon.metric("pgvigil_outbox_pending") == 0, 30)
        both_told_to_their_end(slack)
        assert daemon.stop() == 0
    assert len(slack.messages()) == 4
