"""`pgvigil run`: the daemon, in the foreground."""

import typer

from daemon.cli.common import DEFAULT_CONFIG, ConfigFile, command_app, load_settings

app = command_app("Watch the configured targets until SIGTERM.")


@app.command()
def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Watch the configured targets until SIGTERM or SIGINT."""
    from daemon.run import run as run_daemon

    settings = load_settings(config)
    raise typer.Exit(run_daemon(settings))
