"""A PgBouncer as a target of the daemon, of `check` and of the doctor."""

from pathlib import Path
from typing import Any

import pytest

from daemon import target as target_module
from daemon.cli import codes
from pgvigil.postgres.limits import Limits
from tests.support import poolers
from tests.support.checks import Checks
from tests.support.daemons import Api, daemon_in_process, running_daemon
from tests.support.doctors import Doctor
from tests.support.polling import poll
from tests.support.pooled import closing_all
from tests.support.servers import Database

TARGET = '[[targets]]\nname = "pool"\nkind = "pgbouncer"\ndsn = "{dsn}"\n'
QUICK = """
[collectors.availability]
interval = "1s"
[collectors.pgbouncer_pools]
interval = "1s"
[rules.target_down]
for = "1s"
[rules.pgbouncer_waiting]
warning = "1s"
clear = "500ms"
keep_firing_for = "1s"
"""

HASTY = Limits(connect_s=1.0, connect_total_s=1.0, margin_s=0.3)


@pytest.fixture
def pooler(database: Database, start_pooler: poolers.StartPooler) -> poolers.Pooler:
    return start_pooler({"shop": poolers.line(database.dsn())}, pool_mode="transaction", default_pool_size=1)


def config(pooler: poolers.Pooler, **who: str) -> str:
    return QUICK + TARGET.format(dsn=pooler.dsn(**who))


def figures(incident: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = incident["evidence"]["figures"]
    return found


def settled(daemon: Api) -> dict[str, Any]:
    """The target, once all its collectors have read."""

    def read() -> bool:
        collectors = daemon.target("pool")["collectors"]
        return bool(collectors) and all(one["last_success_at"] for one in collectors)

    poll(read, 20, message="every collector has read")
    return daemon.target("pool")


def test_it_is_watched_as_what_it_is(pooler: poolers.Pooler, tmp_path: Path) -> None:
    with running_daemon(tmp_path, config(pooler)) as daemon:
        target = settled(daemon)
        assert (target["kind"], target["role"], target["up"]) == ("pgbouncer", "pooler", True)
        assert {one["collector"] for one in target["collectors"]} == {
            "availability",
            "pgbouncer_pools",
            "pgbouncer_server",
            "pgbouncer_stats",
        }
        assert all(one["failure"] is None for one in target["collectors"])
        assert target["problems"] == []
        with pooler.client() as holder, closing_all() as queue:
            holder.execute("BEGIN")
            queue(pooler.client()).pgconn.send_query(b"SELECT 1")
            incident = daemon.wait_incident("pgbouncer_waiting", "firing")
            assert incident["subject"].startswith("pool shop/")
            assert incident["database"] is None
            assert daemon.metric("pgvigil_pgbouncer_pool_clients{")
        [info] = [
            line for line in daemon.get("/metrics")[1].splitlines() if line.startswith("pgvigil_target_info")
        ]
        assert 'role="pooler"' in info
        assert daemon.get("/readyz")[0] == 200
        daemon.wait_incident("pgbouncer_waiting", "resolved")
        page = daemon.get("/targets/pool")[1]
        assert f"PgBouncer {target['version']}" in page
        assert "none of its own" in page


def test_a_stopped_one_is_down_and_a_restarted_one_is_not(pooler: poolers.Pooler, tmp_path: Path) -> None:
    with daemon_in_process(tmp_path, config(pooler), limits=HASTY) as daemon:
        settled(daemon)
        pooler.freeze()
        incident = daemon.wait_incident("target_down", "firing")
        assert figures(incident)["Class"] == "silent"
        assert "one process of PgBouncer" in incident["evidence"]["cause"]
        pooler.thaw()
        daemon.wait_incident("target_down", "resolved")
        pooler.stop()
        incident = daemon.wait_incident("target_down", "firing")
        assert figures(incident)["Class"] == "refused"
        assert any("systemctl status pgbouncer" in step["text"] for step in incident["actions"])
        assert daemon.incidents("collector_stale") == []
        shown = "".join(daemon.get(path)[1] for path in ("/targets/pool", "/metrics", "/api/v1/targets"))
        assert poolers.PASSWORD not in shown
        pooler.start()
        daemon.wait_incident("target_down", "resolved")
        assert daemon.target("pool")["up"]


def test_a_quick_restart_is_nothing_to_tell(pooler: poolers.Pooler, tmp_path: Path) -> None:
    with running_daemon(tmp_path, config(pooler)) as daemon:
        settled(daemon)
        pooler.stop()
        pooler.start()
        seen = daemon.collector("pool", "availability")
        poll(lambda: daemon.collector("pool", "availability") != seen and daemon.target("pool")["up"], 20)
        assert [one for one in daemon.incidents("target_down") if one["state"] == "firing"] == []


def test_a_user_that_may_not_look_is_a_problem_with_its_fix(pooler: poolers.Pooler, tmp_path: Path) -> None:
    with running_daemon(tmp_path, config(pooler, user=poolers.APPLICATION)) as daemon:
        incident = daemon.wait_incident("target_down", "firing")
        assert figures(incident)["Class"] == "authentication"
        [problem] = daemon.target("pool")["problems"]
        assert problem["slug"] == "not-stats-user"
        assert "stats_users in pgbouncer.ini" in problem["fix"]
        pooler.configure(stats_users=f"{poolers.WATCHER}, {poolers.APPLICATION}")
        daemon.wait_incident("target_down", "resolved")
        poll(lambda: daemon.target("pool")["problems"] == [], 10)


def test_a_target_becomes_a_pooler_and_a_server_again_by_reload(
    pooler: poolers.Pooler, database: Database, tmp_path: Path
) -> None:
    server = f'{QUICK}[[targets]]\nname = "pool"\ndsn = "{database.dsn()}"\n'
    with running_daemon(tmp_path, server) as daemon:
        poll(lambda: daemon.target("pool")["role"] == "primary", 20)
        daemon.reload(config(pooler))
        poll(lambda: (daemon.target("pool")["role"], daemon.target("pool")["up"]) == ("pooler", True), 20)
        settled(daemon)
        assert daemon.collector("pool", "activity") is None
        daemon.reload(server)
        poll(lambda: daemon.target("pool")["role"] == "primary", 20)
        assert daemon.collector("pool", "pgbouncer_pools") is None


def test_check_finds_what_waits_and_covers_everything(pooler: poolers.Pooler, tmp_path: Path) -> None:
    checks = Checks(tmp_path)
    file = tmp_path / "pgvigil.toml"
    file.write_text(config(pooler), encoding="utf-8")
    done = checks.run(file, "--sample", "0s")
    assert done.returncode == codes.OK, done.stdout + done.stderr
    with pooler.client() as holder, closing_all() as queue:
        holder.execute("BEGIN")
        queue(pooler.client()).pgconn.send_query(b"SELECT 1")
        poll(lambda: any(int(row["maxwait"] or 0) >= 1 for row in pooler.admin("SHOW POOLS")), 10)
        done = checks.run(file, "--sample", "0s")
    assert done.returncode == codes.WARNING, done.stdout + done.stderr
    assert "pgbouncer_waiting" in done.stdout


def test_the_doctor_looks_at_what_a_pooler_has(pooler: poolers.Pooler, tmp_path: Path) -> None:
    doctor = Doctor(tmp_path)
    file = tmp_path / "pgvigil.toml"
    head = f'[daemon]\nlisten = "127.0.0.1:0"\nstore = "sqlite:///{tmp_path}/pgvigil.db"\n[sinks.here]\nkind = "console"\n'
    file.write_text(head + config(pooler), encoding="utf-8")
    found = doctor.look(file)
    assert found.problems == {}
    assert found.unseen == {}
    of_target = [each.check for each in found.checks if each.target == "pool"]
    assert of_target == ["connection", "privileges of readings"]
    file.write_text(head + config(pooler, user=poolers.APPLICATION), encoding="utf-8")
    assert set(doctor.look(file).problems) == {"not-stats-user"}


def test_the_connection_is_made_anew_from_time_to_time(
    pooler: poolers.Pooler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PgBouncer that waits for its last client to leave would otherwise wait for us for ever."""
    monkeypatch.setattr(target_module, "KNOCK_S", 1.0)
    with daemon_in_process(tmp_path, config(pooler)) as daemon:
        poll(lambda: daemon.target("pool")["up"], 20)

        def ours() -> str | None:
            [row] = [row for row in pooler.admin("SHOW CLIENTS") if row["user"] == poolers.WATCHER] or [
                {"port": None}
            ]
            return row["port"]

        first = poll(ours, 10)
        poll(lambda: ours() not in (None, first), 20)
        assert daemon.target("pool")["up"]
