"""`pgvigil store`: how much is remembered, whether it is whole, and making it smaller."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from daemon.cli import codes
from daemon.cli.common import DEFAULT_CONFIG, AsJson, ConfigFile, command_app, load_settings, print_json
from daemon.clock import system_now
from daemon.doctor.store import store_recovered
from daemon.housekeeping import keep_by
from daemon.jsonable import stamp
from pgvigil.store import Store, copies, location
from pgvigil.units import format_size

app = command_app("Look after what pgvigil remembers.", group=True)


@app.callback()
def store() -> None:
    """Look after what pgvigil remembers."""


@app.command()
def info(*, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Show where the store is, how large, what is in it, and its last good copy."""
    with closing(_reading(config)) as opened:
        found = _info(opened)
        _warn(opened)
    if json:
        print_json(found)
        return
    typer.echo(f"{found['path']}: {format_size(found['size_bytes'])}")
    for table, count in found["rows"].items():
        typer.echo(f"  {table:<16} {count:>9,} rows")
    copy = found["copy"]
    typer.echo(
        "copy: none yet; a running daemon makes one every hour"
        if copy is None
        else f"copy: {copy['path']}, of {copy['taken_at']}, {format_size(copy['size_bytes'])}"
    )


@app.command()
def check(*, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Read the store and its copy to the end, also while the daemon runs; exit code 2 when one is damaged."""
    path = location.path_of(load_settings(config).daemon.store.reveal())
    location.readable(path)
    verdicts = {str(path): copies.damage(path, deeply=True)}
    copy = copies.last(path)
    if copy is not None:
        verdicts[str(copy.path)] = copies.damage(copy.path, deeply=True)
    if json:
        print_json({"files": [{"path": file, "damage": found} for file, found in verdicts.items()]})
    else:
        for file, found in verdicts.items():
            typer.echo(f"{file}: {'whole' if found is None else f'DAMAGED: {found}'}")
    raise typer.Exit(codes.OK if not any(verdicts.values()) else codes.CRITICAL)


@app.command()
def prune(*, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Forget what is beyond the retention, and write the file anew. The daemon must be stopped; while it runs,
    it does the same by itself once a day.
    """
    settings = load_settings(config)
    keep = keep_by(settings, system_now().utc)
    path = location.path_of(settings.daemon.store.reveal())
    location.readable(path)
    before_bytes = copies.size_bytes(path)
    with closing(Store.open(settings.daemon.store.reveal())) as opened:
        _warn(opened)
        pruned = opened.prune(keep)
        opened.rewrite()
    freed_bytes = max(0, before_bytes - copies.size_bytes(path))
    if json:
        print_json({**asdict(pruned), "freed_bytes": freed_bytes})
        return
    typer.echo(
        f"forgot {pruned.incidents} incidents, {pruned.transitions} transitions, {pruned.texts} texts,"
        f" {pruned.series} series and {pruned.changes} changes;"
        f" {format_size(freed_bytes)} smaller"
    )


def _warn(opened: Store) -> None:
    """A loss is said by whoever comes upon it."""
    if opened.recovered is not None:
        typer.echo(store_recovered(opened.path, opened.recovered).sentence, err=True)


def _info(opened: Store) -> dict[str, Any]:
    copy = opened.last_copy
    described = copy and {
        "path": str(copy.path),
        "taken_at": stamp(copy.taken_at),
        "size_bytes": copy.size_bytes,
    }
    return {
        "path": str(opened.path),
        "size_bytes": opened.size_bytes,
        "rows": dict(opened.rows()),
        "copy": described,
    }


def _reading(config: Path) -> Store:
    return Store.open(load_settings(config).daemon.store.reveal(), exclusive=False)
