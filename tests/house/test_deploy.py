"""What stands in deploy/ is what systemd understands, and shuts in what it should."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.run import END_S
from pgvigil.store.opening import MIGRATION_DEADLINE_S
from tests.support.reporting import not_run
from tests.support.units import UNIT, service

MOST_EXPOSURE = 1.5


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists: whether /opt/pgvigil is installed is not the question."""
    copy = tmp_path / "pgvigil-house-test.service"
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/pgvigil/bin/pgvigil", "/bin/true"))
    return copy


def analyse(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        not_run("no systemd-analyze (Debian: apt-get install systemd)")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_to_say_about_the_unit(unit: Path) -> None:
    """It exits with 0 on keys that it does not know, so its silence is what counts."""
    verdict = analyse("verify", str(unit))
    assert (verdict.returncode, verdict.stderr) == (0, "")


def test_the_unit_is_shut_in(unit: Path) -> None:
    verdict = analyse("security", "--offline=true", str(unit))
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", verdict.stdout)
    assert exposure is not None, verdict.stderr
    assert float(exposure[1]) <= MOST_EXPOSURE


def test_the_unit_fits_what_the_daemon_promises() -> None:
    """It waits for READY=1 as long as a store may take, and longer for the end than the daemon takes at most."""
    keys = {key: values[-1] for key, values in service().items()}
    assert (keys["Type"], keys["NotifyAccess"], keys["Restart"]) == ("notify", "main", "on-failure")
    assert float(keys["TimeoutStopSec"].removesuffix("s")) > END_S
    assert float(keys["TimeoutStartSec"].removesuffix("min")) * 60 > MIGRATION_DEADLINE_S
    assert float(keys["WatchdogSec"].removesuffix("s")) >= 30


def test_a_reload_checks_the_file_before_the_daemon_hears_of_it() -> None:
    check, tell = service()["ExecReload"]
    assert [check] == service()["ExecStartPre"]
    assert tell == "/bin/kill -HUP $MAINPID"
