"""`pgvigil statements`: what ran, out of the history that the daemon keeps."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    ago_of,
    chosen_targets,
    command_app,
    load_settings,
    print_json,
)
from daemon.clock import system_now
from daemon.jsonable import stamp
from daemon.statement_history import chunks_of
from daemon.statements import FEED
from pgvigil.sql.statement import is_own
from pgvigil.statements import StatementKey
from pgvigil.store.store import Store
from pgvigil.text import one_line
from pgvigil.units import format_duration
from queries.history.chunk import Chunk
from queries.history.filling import text_hash
from queries.history.series import Point, Total, points, totals

app = command_app("Show what ran, and how it went.", group=True)

_STEPS = 24  # lines of `show`
_TEXT_CHARS = 72


class By(StrEnum):
    """What the heaviest are chosen by."""

    TIME = "time"
    CALLS = "calls"
    BLOCKS = "blocks"
    ROWS = "rows"
    TEMP = "temp"


_COLUMN = {
    By.TIME: "exec_ms",
    By.CALLS: "calls",
    By.BLOCKS: "shared_blocks",
    By.ROWS: "rows",
    By.TEMP: "temp_blocks",
}

Target = Annotated[str | None, typer.Option(help="Only this target.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """What one target's statements did, the heaviest first. `first_at` and `last_at` are None where nothing is known."""

    target: str
    first_at: datetime | None
    last_at: datetime | None
    totals: Sequence[Total]
    databases: Mapping[StatementKey, str]
    texts: Mapping[StatementKey, str]


@app.callback()
def statements() -> None:
    """Show what ran, and how it went."""


@app.command()
def top(
    *,
    since: Annotated[str, typer.Option(help="How far back, such as 1h or 7d.")] = "1h",
    by: Annotated[By, typer.Option(help="What the heaviest are chosen by.")] = By.TIME,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    target: Target = None,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Name the heaviest statements, as far as the history goes; it is written every half hour."""
    settings = load_settings(config)
    start = system_now().utc - timedelta(seconds=ago_of(since))
    with closing(Store.open(settings.daemon.store.reveal(), exclusive=False)) as store:
        found = [_ran(store, one.name, start, by, limit) for one in chosen_targets(settings, target)]
    if json:
        print_json({"targets": [_ran_object(one) for one in found]})
    else:
        typer.echo("\n\n".join("\n".join(_table(one)) for one in found))


@app.command(context_settings={"ignore_unknown_options": True})  # ids may be negative
def show(
    queryid: Annotated[int, typer.Argument(help="The statement's id, as messages and `top` name it.")],
    *,
    since: Annotated[str, typer.Option(help="How far back, such as 1d.")] = "7d",
    target: Target = None,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Say how one statement went: calls, mean time, blocks and rows of a call, step by step."""
    settings = load_settings(config)
    now = system_now().utc
    start = now - timedelta(seconds=ago_of(since))
    found: list[tuple[str, StatementKey, str, str, Sequence[Point]]] = []
    with closing(Store.open(settings.daemon.store.reveal(), exclusive=False)) as store:
        for one in chosen_targets(settings, target):
            chunks = _chunks(store, one.name, start)
            names = _databases(chunks)
            for key in sorted(each for each in names if each.queryid == queryid):
                text = _texts(store, one.name, [key]).get(key, "")
                went = [each for each in points(chunks, key, text_hash(text or None)) if each.until > start]
                found.append((one.name, key, names[key], text, went))
    if not found:
        raise typer.BadParameter(
            f"no statement {queryid} in the history of that time; see `pgvigil statements top`"
        )
    if json:
        print_json({"statements": [_series_object(*each) for each in found]})
    else:
        typer.echo("\n\n".join("\n".join(_went(*each)) for each in found))


# --- out of the store -------------------------------------------------------------------------------------


def _chunks(store: Store, target: str, since: datetime) -> list[Chunk]:
    return list(chunks_of(store.samples.of(target, FEED, since)))


def _databases(chunks: Sequence[Chunk]) -> dict[StatementKey, str]:
    """Of every statement, the name that its database had last."""
    return {
        key: name
        for chunk in chunks
        for key, name in zip(chunk.statements, chunk.databases.tolist(), strict=True)
    }


def _texts(store: Store, target: str, keys: Sequence[StatementKey]) -> dict[StatementKey, str]:
    known = store.texts.get(target, [(key.dbid, key.userid, key.queryid) for key in keys])
    texts = {key: known.get((key.dbid, key.userid, key.queryid), "") for key in keys}
    return {key: text for key, text in texts.items() if text}


def _ran(store: Store, target: str, since: datetime, by: By, limit: int) -> _Ran:
    chunks = _chunks(store, target, since)
    ran = totals(chunks, since)
    named = sorted((one for one in ran if one.key is not None), key=lambda one: -one.sums[_COLUMN[by]])[
        :limit
    ]
    keys = [one.key for one in named if one.key is not None]
    rest = _rest(ran, named)
    return _Ran(
        target=target,
        first_at=max(since, min(one.first_at for one in chunks)) if chunks else None,
        last_at=max(one.last_at for one in chunks) if chunks else None,
        totals=[*named, *([rest] if rest.sums["calls"] else [])],
        databases=_databases(chunks),
        texts=_texts(store, target, keys),
    )


def _rest(ran: Sequence[Total], named: Sequence[Total]) -> Total:
    """All that is not named, as one."""
    names = {one.key for one in named}
    others = [one for one in ran if one.key not in names]
    keys = ran[0].sums if ran else {"calls": 0.0}
    sums = {name: sum(one.sums[name] for one in others) for name in keys}
    return Total(None, max((one.covered_s for one in others), default=0.0), sums)


# --- for people -------------------------------------------------------------------------------------------


def _table(ran: _Ran) -> Iterator[str]:
    if ran.first_at is None or ran.last_at is None:
        yield f"{ran.target}: no history of statements in that time; it is written every half hour"
        return
    yield f"{ran.target}: {_clock(ran.first_at)} to {_clock(ran.last_at)}"
    all_ms = sum(one.sums["exec_ms"] for one in ran.totals) or 1.0
    rows: list[tuple[str, ...]] = [
        ("share", "time", "calls", "mean", "blocks/call", "rows/call", "queryid", "database", "statement")
    ]
    rows += [_row(one, all_ms, ran) for one in ran.totals]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        numbers = "  ".join(f"{cell:>{width}}" for cell, width in zip(row[:7], widths[:7], strict=True))
        yield f"  {numbers}  {row[7]:<{widths[7]}}  {row[8]}".rstrip()


def _row(one: Total, all_ms: float, ran: _Ran) -> tuple[str, ...]:
    sums = one.sums
    calls = sums["calls"] or 1.0
    share, time = f"{100 * sums['exec_ms'] / all_ms:.1f}%", format_duration(sums["exec_ms"] / 1000)
    each = (_mean(sums), f"{sums['shared_blocks'] / calls:,.1f}", f"{sums['rows'] / calls:,.1f}")
    if one.key is None:
        return (share, time, f"{sums['calls']:,.0f}", *each, "", "", "(all others)")
    known = ran.texts.get(one.key, "(text not known)")
    text = "(pgvigil itself)" if is_own(known) else one_line(known, _TEXT_CHARS)
    nested = "" if one.key.toplevel else " (nested)"
    database = one_line(ran.databases.get(one.key, ""), 30)
    return (share, time, f"{sums['calls']:,.0f}", *each, str(one.key.queryid), database, text + nested)


def _mean(sums: Mapping[str, float]) -> str:
    if not sums["calls"]:
        return "-"
    mean_ms = sums["exec_ms"] / sums["calls"]
    return f"{mean_ms:.3g}ms" if mean_ms < 999.5 else format_duration(mean_ms / 1000)


def _went(target: str, key: StatementKey, database: str, text: str, went: Sequence[Point]) -> Iterator[str]:
    nested = "" if key.toplevel else ", inside other statements"
    yield f"statement {key.queryid} in {one_line(database, 63)} @ {target}{nested}"
    yield f"  {one_line(text, 1000) if text else 'its text is not known'}"
    if not went:
        yield "  nothing is known of it in that time"
        return
    yield ""
    rows: list[tuple[str, ...]] = [
        ("from", "calls/min", "mean", "blocks/call", "rows/call", "temp/call", "told")
    ]
    rows += [_step_row(one) for one in _steps(went)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))


def _steps(went: Sequence[Point]) -> Iterator[Point]:
    """The points put together into at most _STEPS of equal length; one without any is left out."""
    began, ended = went[0].since, went[-1].until
    each_s = max((ended - began).total_seconds() / _STEPS, 60.0)
    groups: dict[int, list[Point]] = {}
    for point in went:
        middle = point.since + (point.until - point.since) / 2
        groups.setdefault(int((middle - began).total_seconds() / each_s), []).append(point)
    for _, some in sorted(groups.items()):
        sums = {name: sum(one.sums[name] for one in some) for name in some[0].sums}
        yield Point(some[0].since, some[-1].until, sum(one.covered_s for one in some), sums)


def _step_row(one: Point) -> tuple[str, ...]:
    """How much of the time can be told is said where it is not all of it."""
    sums, calls = one.sums, one.sums["calls"]
    length_s = (one.until - one.since).total_seconds()
    told = "" if one.covered_s >= 0.95 * length_s else f"{100 * one.covered_s / length_s:.0f}%"
    per_min = f"{60 * calls / one.covered_s:,.1f}"
    if not calls:
        return (_clock(one.since), per_min, "-", "-", "-", "-", told)
    each = (f"{sums[name] / calls:,.1f}" for name in ("shared_blocks", "rows", "temp_blocks"))
    return (_clock(one.since), per_min, _mean(sums), *each, told)


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


# --- for programs -----------------------------------------------------------------------------------------


def _ran_object(ran: _Ran) -> dict[str, Any]:
    return {
        "target": ran.target,
        "since": stamp(ran.first_at),
        "until": stamp(ran.last_at),
        "statements": [
            {
                **_key_object(one.key, "" if one.key is None else ran.databases.get(one.key, "")),
                "text": None if one.key is None else ran.texts.get(one.key),
                "covered_s": one.covered_s,
                **one.sums,
            }
            for one in ran.totals
        ],
    }


def _series_object(
    target: str, key: StatementKey, database: str, text: str, went: Sequence[Point]
) -> dict[str, Any]:
    return {
        "target": target,
        **_key_object(key, database),
        "text": text or None,
        "points": [
            {"since": stamp(one.since), "until": stamp(one.until), "covered_s": one.covered_s, **one.sums}
            for one in went
        ],
    }


def _key_object(key: StatementKey | None, database: str) -> dict[str, Any]:
    """Of all others together every key is None. Ids are text: JSON's numbers are too short for them elsewhere."""
    if key is None:
        return {"queryid": None, "database": None, "userid": None, "toplevel": None}
    return {"queryid": str(key.queryid), "database": database, "userid": key.userid, "toplevel": key.toplevel}
