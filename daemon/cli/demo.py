"""`pgvigil demo`."""

from typing import Annotated

import typer

from daemon.cli.common import command_app

app = command_app("Play a story of trouble on a PostgreSQL of its own.")


@app.command()
def demo(
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=1, help="End after so many seconds; without it at Ctrl-C."),
    ] = None,
) -> None:
    """Play a story of trouble on a PostgreSQL of its own.

    Shows what Slack would get, and leaves nothing behind.
    """
    from rich.console import Console

    from daemon.demo.play import play

    console = Console(highlight=False)
    tally = play(console, seconds)
    console.print(
        f"demo: {tally.fired} incidents fired, {tally.resolved} resolved", markup=False, soft_wrap=True
    )
