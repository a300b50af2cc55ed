"""`pgvigil demo`."""

from typing import Annotated

import typer

app = typer.Typer(help="Play a story of trouble on a throw-away PostgreSQL and show what Slack would get.")


@app.command()
def demo(
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=1, help="End after so many seconds; without it at Ctrl-C."),
    ] = None,
) -> None:
    """Play a story of trouble on a throw-away PostgreSQL and show what Slack would get."""
    from rich.console import Console

    from daemon.demo.play import play

    console = Console(highlight=False)
    tally = play(console, seconds)
    console.print(
        f"demo: {tally.fired} incidents fired, {tally.resolved} resolved", markup=False, soft_wrap=True
    )
