"""`pgvigil grants`: what a DBA runs on each server, printed."""

from dataclasses import asdict
from typing import Annotated

import typer

from daemon.cli.common import AsJson, command_app, print_json
from pgvigil.sql.grants import Tier, grants, script

app = command_app("Print the least-privilege SQL for pgvigil's role, to be run by psql.")

_LONGEST_NAME_BYTES = 63  # NAMEDATALEN - 1: the server would cut the rest off


def _role(name: str) -> str:
    if not name or "\0" in name or len(name.encode()) > _LONGEST_NAME_BYTES:
        raise typer.BadParameter(f"a name of 1 to {_LONGEST_NAME_BYTES} bytes")
    return name


def _databases(names: list[str]) -> list[str]:
    return [_role(name) for name in names]


@app.command()
def print_grants(
    *,
    tier: Annotated[
        Tier,
        typer.Option(help="watch: statistics only. plans: also EXPLAIN. integrity: also proofs of the data."),
    ] = Tier.WATCH,
    role: Annotated[str, typer.Option(callback=_role, help="The role that pgvigil logs in as.")] = "pgvigil",
    database: Annotated[
        list[str],
        typer.Option(callback=_databases, help="A database to visit as well; may be given again."),
    ] = [],  # noqa: B006 - Typer's way; never written to
    json: AsJson = False,
) -> None:
    """Print what the role needs, with the reasons; safe to run again. Each tier includes the ones before it.

    pgvigil grants --database shop | psql -X -v ON_ERROR_STOP=1 postgres
    """
    if json:
        found = [asdict(grant) for grant in grants(tier, role)]
        print_json({"tier": tier, "role": role, "databases": database, "grants": found})
    else:
        typer.echo(script(tier, role, database), nl=False)
