"""The command line. Each group of commands is a module that is imported only when it is used."""

import sys
from collections.abc import Sequence

from daemon.cli import codes

COMMANDS = {
    "check": "daemon.cli.check",
    "config": "daemon.cli.config",
    "doctor": "daemon.cli.doctor",
    "demo": "daemon.cli.demo",
    "grants": "daemon.cli.grants",
    "incidents": "daemon.cli.incidents",
    "mark": "daemon.cli.mark",
    "notify": "daemon.cli.notify",
    "plan": "daemon.cli.plan",
    "routes": "daemon.cli.routes",
    "rules": "daemon.cli.rules",
    "run": "daemon.cli.run",
    "silences": "daemon.cli.silences",
    "statements": "daemon.cli.statements",
    "store": "daemon.cli.store",
    "token": "daemon.cli.token",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; see `daemon.cli.codes`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from daemon.cli.app import run

        return run(given)
    except Exception as error:  # noqa: BLE001 - the last boundary: whatever it is, people get one line
        from daemon.cli.failures import report

        return report(error, debug="--debug" in given)
    except KeyboardInterrupt:
        return codes.INTERRUPTED
