"""Opening a store: made, upgraded, refused with a reason; never damaged."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pgvigil.model.delivery import Want
from pgvigil.model.incident import Transition
from pgvigil.model.level import Level
from pgvigil.problems import SetupError
from pgvigil.store import Store, StoreError
from pgvigil.store.failover import Failover
from pgvigil.store.schema import REVISION
from tests.support.polling import poll
from tests.support.revisions import undo_0004
from tests.support.views import incident


def refusal(url: str | Path, *, exclusive: bool = True) -> tuple[str, str]:
    """The slug and the whole text of the SetupError that opening raises."""
    location = f"sqlite:///{url}" if isinstance(url, Path) else url
    with pytest.raises(SetupError) as caught:
        Store.open(location, exclusive=exclusive)
    return caught.value.problems[0].slug, str(caught.value)


def other_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


HOLD = """
import sys, time
from pgvigil.store import Store
store = Store.open("sqlite:///" + sys.argv[1])
store.state.put("written by", "the other")
print("open", flush=True)
time.sleep(60)
"""


def test_a_new_store_is_made_in_wal_mode_and_for_us_alone(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert plain.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + ".lock")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert store.writable
    assert store.errors == 0


def test_what_was_written_is_there_after_closing_and_opening(path: Path) -> None:
    url = f"sqlite:///{path}"
    first = Store.open(url)
    first.state.put("channel", {"id": "C1"})
    first.close()
    second = Store.open(url)
    assert second.state.get("channel") == {"id": "C1"}
    second.close()


def test_the_daemon_never_imports_alembic(path: Path) -> None:
    code = (
        "import sys; from pgvigil.store import Store; Store.open('sqlite:///' + sys.argv[1]).close();"
        "print([name for name in sys.modules if name.startswith('alembic')])"
    )
    child = other_process(code, str(path))
    assert child.communicate()[0].strip() == "[]"


def test_a_second_daemon_is_refused_and_told_who_holds_the_store(path: Path) -> None:
    with other_process(HOLD, str(path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        slug, text = refusal(path)
        assert slug == "store-in-use"
        assert str(path) in text
        assert f"process {holder.pid}" in text
        holder.kill()


def test_another_name_of_the_same_file_is_the_same_store(store: Store, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert refusal(link)[0] == "store-in-use"


def test_a_killed_daemon_leaves_no_lock_and_no_loss(path: Path) -> None:
    with other_process(HOLD, str(path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        holder.send_signal(signal.SIGKILL)
    store = Store.open(f"sqlite:///{path}")
    assert store.state.get("written by") == "the other"
    store.close()


def test_a_reader_sees_the_store_of_a_running_daemon_and_cannot_write(store: Store, path: Path) -> None:
    store.state.put("channel", "C1")
    reader = Store.open(f"sqlite:///{path}", exclusive=False)
    assert reader.state.get("channel") == "C1"
    store.state.put("channel", "C2")
    assert reader.state.get("channel") == "C2"
    assert not reader.writable
    with pytest.raises(StoreError, match="reading only"):
        reader.state.put("channel", "C3")
    reader.close()
    assert store.state.get("channel") == "C2"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_reader_without_write_permission_reads_a_closed_store(store: Store, path: Path) -> None:
    """As an engineer would, when the daemon is stopped."""
    store.state.put("channel", "C1")
    store.close()
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = Path(shutil.copy(path, folder))
        copy.chmod(0o644)
        os.seteuid(65534)
        try:
            reader = Store.open(f"sqlite:///{copy}", exclusive=False)
            assert reader.state.get("channel") == "C1"
            reader.close()
        finally:
            os.seteuid(0)


def test_a_reader_of_a_missing_or_empty_store_is_told_to_start_the_daemon(path: Path) -> None:
    assert refusal(path, exclusive=False)[0] == "store-missing"
    path.touch()
    assert refusal(path, exclusive=False)[0] == "store-missing"
    assert not path.read_bytes()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://pgvigil:hunter2@db/pgvigil",
        "mysql://localhost/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "/var/lib/pgvigil/pgvigil.db",
        "",
    ],
)
def test_a_url_that_names_no_file_is_refused_without_showing_a_password(url: str) -> None:
    slug, text = refusal(url)
    assert slug == "store-url"
    assert "hunter2" not in text


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "pgvigil.db"
    slug, text = refusal(path)
    assert slug == "store-unwritable"
    assert str(path.parent) in text


def test_a_directory_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    assert refusal(path)[0] == "store-unwritable"


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs a mount namespace")
def test_a_read_only_file_system_is_refused(path: Path) -> None:
    """Root may write everywhere but here."""
    Store.open(f"sqlite:///{path}").close()
    script = (
        f"mount --bind {path.parent} {path.parent} && mount -o remount,bind,ro {path.parent} && "
        f"exec {sys.executable} -c \"from pgvigil.store import Store; Store.open('sqlite:///{path}')\""
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    assert "SetupError" in done.stderr
    assert "cannot be written: Read-only file system" in done.stderr


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_store_from_a_newer_version_is_left_alone(path: Path, exclusive: bool) -> None:
    Store.open(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    slug, text = refusal(path, exclusive=exclusive)
    assert slug == "store-newer"
    assert "9999" in text
    assert str(path) in text


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_file_that_is_no_database_is_left_as_it_is(path: Path, exclusive: bool) -> None:
    path.write_bytes(b"dear diary\n" * 1000)
    before = path.read_bytes()
    assert refusal(path, exclusive=exclusive)[0] == "store-corrupt"
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("CREATE TABLE alembic_version (version_num TEXT)")
        plain.execute("CREATE TABLE customers (id INTEGER)")
    slug, text = refusal(path)
    assert slug == "store-corrupt"
    assert "another program" in text
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM sqlite_master").fetchone() == (2,)


def test_a_damaged_store_is_refused(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}")
    store.texts.put("orders", {(1, 2, queryid): "x" * 4000 for queryid in range(50)})
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert refusal(path)[0] == "store-corrupt"


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    """A table in the way of the last step: none of the steps before it is kept."""
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("CREATE TABLE delivery (mine INTEGER)")
        plain.execute("CREATE TABLE incident (mine INTEGER)")
        plain.execute("CREATE TABLE alembic_version (version_num TEXT)")
        before = plain.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    assert refusal(path)[0] == "store-newer"  # no revision in it at all is none that we know
    done = subprocess.run(
        [sys.executable, "-m", "pgvigil.store.migrate", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall() == before


def test_a_deleted_store_is_an_error_and_not_a_new_empty_one(store: Store, path: Path) -> None:
    """Readers and the writer never create the file: an empty store would look as if all were well."""
    store.close()
    path.unlink()
    assert refusal(path, exclusive=False)[0] == "store-missing"
    assert not path.exists()


def test_writable_is_answered_at_once_and_probed_in_the_background(store: Store) -> None:
    database = store._database
    assert isinstance(database, Failover)
    before = database._writes
    assert database.writable(probe_after_s=3600)
    assert database.writable(probe_after_s=-1)
    poll(lambda: database._writes > before, 5)


def test_a_store_of_the_first_revision_is_upgraded_with_what_it_holds(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}")
    fired = Transition("fired", None, incident(id=0))
    (kept,) = store.incidents.commit([fired], [Want(0, "oncall", Level.CRITICAL)])
    before = store.deliveries.get(kept.id, "oncall")
    store.close()
    with closing(sqlite3.connect(path)) as plain, plain:
        undo_0004(plain)
        plain.execute("DROP TABLE digest")
        plain.execute("ALTER TABLE delivery DROP COLUMN thread")
        for table in ("cluster", "series", "journal", "journal_change"):
            plain.execute(f"DROP TABLE {table}")
        plain.execute("UPDATE alembic_version SET version_num = '0001'")
    upgraded = Store.open(f"sqlite:///{path}")
    assert upgraded.deliveries.get(kept.id, "oncall") == before
    assert upgraded.digests.get("oncall") is None
    upgraded.close()
