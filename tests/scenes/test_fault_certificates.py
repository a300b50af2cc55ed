"""Certificates that expired, name another host, or come from nowhere: the message says which, and until when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.certificates import Authority, install, start_with_tls
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.polling import poll
from tests.support.servers import StartServer

HEAD = """
[collectors.availability]
interval = "1s"

[rules.target_down]
for = "1s"
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "{dsn} sslmode=verify-full sslrootcert={root}"
"""
HERE = "127.0.0.1"


def error(daemon: RunningDaemon, target: str) -> str:
    down = daemon.wait_incident("target_down", "firing", target=target)
    assert down["evidence"]["figures"]["Class"] == "tls"
    return str(down["evidence"]["figures"]["Error"])


def test_each_is_told_with_its_reason_and_ends_with_a_rotation(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Expired, not yet valid, another host's, another authority's. A session that stands outlives its certificate."""
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    long_ago, tomorrow = timedelta(days=-3), timedelta(days=1)
    bad = {
        "expired": lambda: ours.sign(HERE, end=long_ago),
        "early": lambda: ours.sign(HERE, start=tomorrow),
        "elsewhere": lambda: ours.sign("192.0.2.7"),
        "unknown": lambda: theirs.sign(HERE),
    }
    servers = {name: start_with_tls(start_server) for name in (*bad, "lasting")}
    for name, server in servers.items():
        install(server, *(bad[name]() if name in bad else ours.sign(HERE)))
    targets = [TARGET.format(name=name, dsn=each.dsn(), root=ours.root) for name, each in servers.items()]
    with running_daemon(tmp_path, HEAD + "".join(targets)) as daemon:
        said = {name: error(daemon, name) for name in bad}
        assert "certificate has expired" in said["expired"]
        assert f"to {datetime.now(UTC) + long_ago:%Y-%m-%d}" in said["expired"]
        assert "certificate is not yet valid" in said["early"]
        assert 'certificate for "192.0.2.7"' in said["elsewhere"]
        assert "local issuer" in said["unknown"]
        assert all("it is valid from" in text for text in said.values()), said
        assert daemon.target("lasting")["up"]
        install(servers["lasting"], *bad["expired"]())
        for name in bad:
            install(servers[name], *ours.sign(HERE))
        for name in bad:
            daemon.wait_incident("target_down", "resolved", target=name)
        assert daemon.target("lasting")["up"]
        assert daemon.incidents("target_down", target="lasting") == []
        poll(lambda: daemon.incidents(state="firing") == [], 10)
