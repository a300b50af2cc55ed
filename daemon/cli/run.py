"""`pgvigil run`: the daemon, in the foreground."""

import os
import signal
from types import FrameType

import typer

from daemon.cli.common import DEFAULT_CONFIG, ConfigFile, command_app, load_settings

app = command_app("Watch the configured targets until SIGTERM; SIGHUP reads the configuration again.")


@app.command()
def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Watch the configured targets until SIGTERM or SIGINT. SIGHUP reads the configuration again."""
    signal.signal(signal.SIGTERM, _leave_at_once)
    from daemon.run import run as run_daemon

    settings = load_settings(config)
    raise typer.Exit(run_daemon(settings))


def _leave_at_once(_number: int, _frame: FrameType | None) -> None:
    """Until the daemon has handlers of its own: nothing is open yet."""
    os._exit(0)
