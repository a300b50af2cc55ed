"""`pgvigil rules test` and `rules capture`: rules tried out on readings from files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli import codes
from daemon.cli.common import DEFAULT_CONFIG, ConfigFile, chosen_targets, load_settings, print_json
from daemon.clock import system_now
from daemon.reading import Scheduled
from daemon.reading import read as read_now
from daemon.rehearsal.readings import FACTS, encoded
from daemon.rehearsal.run import Outcome, bound, chosen, play
from daemon.rehearsal.script import read
from daemon.settings.errors import nearest
from daemon.settings.plugins import Plugins
from daemon.statements import FEED
from pgvigil.plugins import Collector
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import connect, list_databases


def try_out(
    file: Annotated[Path, typer.Argument(help="TOML: readings, and what must be open when.")],
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Judge as this configuration does for the file's target."),
    ] = None,
) -> None:
    """Play readings from a file to the rules, on a clock that does not wait, and compare what fires.

    Exit code: 0 when all is as expected, else 1.
    """
    plugins = Plugins.installed()
    script = read(file, plugins)
    target = script.section.target
    if config is None:
        rules = bound(script, plugins)
    else:
        settings = load_settings(config)
        chosen_targets(settings, target)
        rules = chosen(settings.bound_rules(target), script.section.only)
    outcomes = [
        play(target, rules, case, readings)
        for case, readings in zip(script.section.tests, script.cases, strict=True)
    ]
    typer.echo("\n".join(_lines(outcomes)))
    raise typer.Exit(codes.WARNING if any(one.wrong for one in outcomes) else codes.OK)


def _lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for one in outcomes:
        yield f"{'FAILED' if one.wrong else 'ok'}: {one.name}"
        yield from (f"  {line}" for line in one.wrong)
    failed = sum(bool(one.wrong) for one in outcomes)
    yield f"{len(outcomes)} tests, {failed} failed"


def capture(
    collector: Annotated[str, typer.Argument(help="The collector's name.")],
    *,
    target: Annotated[str, typer.Option(help="The target to read.")],
    database: Annotated[
        str | None, typer.Option(help="The database, for a collector that reads each.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Read one collector once and print the reading as JSON, for a file of `rules test`."""
    known = Plugins.installed().collectors
    found = known.get(collector)
    if found is None:
        raise typer.BadParameter(f"there is no collector {collector!r}; {nearest(collector, tuple(known))}")
    (chosen_one,) = chosen_targets(load_settings(config), target)
    try:
        session = connect(chosen_one.server, kind=chosen_one.kind, database=database)
    except ReadError as error:
        raise typer.BadParameter(f"{target}: {error}") from None
    try:
        print_json(_reading(found, session, target, database))
    except ReadError as error:
        raise typer.BadParameter(f"{target}: {error}") from None
    finally:
        session.close()


def _reading(collector: Collector[Any], session: Any, target: str, database: str | None) -> dict[str, Any]:
    scheduled = Scheduled(collector, collector.interval_s)
    if lacking := scheduled.lacks(session.facts):
        where = session.facts.database
        raise typer.BadParameter(
            f"{collector.name} needs the extension {lacking}, which {where} does not have"
        )
    snapshot = read_now(target, scheduled, database, session, system_now)
    facts = FACTS.dump_python(session.facts, mode="json", exclude={"columns", "settings", "role"})
    names = {each.oid: each.name for each in list_databases(session)} if collector.name == FEED else {}
    return {
        "collector": collector.name,
        "database": database,
        "facts": facts,
        **({"databases": names} if names else {}),
        "rows": encoded(collector, snapshot.rows),
    }
