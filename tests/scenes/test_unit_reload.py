"""`systemctl reload` as the unit has it: its commands, run as systemd runs them, against a daemon."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.daemons import ROOT, RunningDaemon, running_daemon
from tests.support.managers import service_manager
from tests.support.network import closed_port
from tests.support.polling import poll
from tests.support.units import service

CONFIG = '[[targets]]\nname = "shop"\ndsn = {dsn}\n'


def systemctl_reload(daemon: RunningDaemon) -> bool:
    """One command after the other; the first that fails ends it."""
    here = {
        "/opt/pgvigil/bin/pgvigil": f"{shlex.quote(sys.executable)} -m daemon",
        "/etc/pgvigil/pgvigil.toml": shlex.quote(str(daemon.config)),
        "$MAINPID": str(daemon.process.pid),
    }
    for command in service()["ExecReload"]:
        for what, instead in here.items():
            command = command.replace(what, instead)  # noqa: PLW2901 - piece by piece
        if subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, check=False).returncode != 0:
            return False
    return True


def test_a_good_file_is_taken_and_a_bad_one_never_reaches_the_daemon(tmp_path: Path) -> None:
    dsn = json.dumps(f"host=127.0.0.1 port={closed_port()}")
    with (
        service_manager(tmp_path) as manager,
        running_daemon(tmp_path, CONFIG.format(dsn=dsn), {"NOTIFY_SOCKET": manager.address}) as daemon,
    ):
        good = daemon.config.read_text(encoding="utf-8")
        daemon.config.write_text(good + "intervall = 3\n", encoding="utf-8")
        assert not systemctl_reload(daemon)
        daemon.config.write_text(good + 'labels = { env = "prod" }\n', encoding="utf-8")
        assert systemctl_reload(daemon)
        poll(lambda: daemon.events("config_reloaded"))
        manager.wait("READY=1", times=2)
        assert len(daemon.events("reloading")) == 1
        assert daemon.events("config_refused") == []
        told = [text.partition("\n")[0] for _, text in manager.told() if not text.startswith("STATUS")]
        assert told == ["READY=1", "RELOADING=1", "READY=1"]
        assert daemon.target("shop")["labels"] == {"env": "prod"}
