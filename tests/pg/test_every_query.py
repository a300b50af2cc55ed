"""Every query of every collector is planned and run by every real server here, as the role we ask people to make."""

import re
import types
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import psycopg
import pytest

from pgvigil.postgres.query import Query, Show
from pgvigil.postgres.session import Session
from pgvigil.registry import collectors
from tests.support import servers, watching

QUERIES = {
    f"{collector.name}-{query.name}": query
    for collector in collectors().values()
    for query in collector.queries
    if not isinstance(query, Show)
}


@pytest.fixture(scope="module")
def home(each_server: servers.Server) -> Iterator[servers.Database]:
    """One for all of them, because nothing here writes; it has pg_stat_statements."""
    with servers.fresh_database(each_server) as fresh:
        fresh.execute("CREATE EXTENSION pg_stat_statements")
        yield fresh


@pytest.fixture(scope="module")
def session(home: servers.Database) -> Iterator[Session]:
    """As the watch role."""
    opened = watching.watch(home.dsn())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def observer(home: servers.Database) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A driver's connection of the same role: what it says of a result is the server's own word."""
    dsn = watching.watch_dsn(home.dsn())
    with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        yield connection


def with_unknown_parameters(text: str) -> dict[str, None]:
    return dict.fromkeys(re.findall(r"%\((\w+)\)[sbt]", text))


@pytest.mark.parametrize("name", QUERIES)
def test_query_is_planned_and_gives_its_columns(
    name: str, session: Session, observer: psycopg.Connection[tuple[Any, ...]]
) -> None:
    query = QUERIES[name]
    if not query.asks(session.facts):
        return
    text = query.text(session.facts)
    observer.execute(f"EXPLAIN {text}", with_unknown_parameters(text))
    result = observer.execute(f"SELECT * FROM ({text}) AS asked LIMIT 0", with_unknown_parameters(text))
    assert result.description is not None
    assert tuple(column.name for column in result.description) == query.row._fields
    assert "/* pgvigil:" in text


@pytest.mark.parametrize("name", QUERIES)
def test_query_is_planned_as_a_frame_too(
    name: str, session: Session, observer: psycopg.Connection[tuple[Any, ...]]
) -> None:
    query = QUERIES[name]
    if not query.asks(session.facts):
        return
    text = query.frame_text(session.facts)
    observer.execute(f"EXPLAIN {text}", with_unknown_parameters(text))


@pytest.mark.parametrize("name", QUERIES)
def test_values_have_the_types_that_the_row_promises(
    name: str, session: Session, observer: psycopg.Connection[tuple[Any, ...]]
) -> None:
    query = QUERIES[name]
    if not query.asks(session.facts):
        return
    text = query.text(session.facts)
    rows = observer.execute(text, with_unknown_parameters(text)).fetchmany(200)
    assert [wrong for row in rows for wrong in mistyped(query, row)] == []


def mistyped(query: Query[Any], row: tuple[Any, ...]) -> list[str]:
    hints = get_type_hints(query.row)
    return [
        f"{field} is {type(value).__name__}, promised {hints[field]}"
        for field, value in zip(query.row._fields, row, strict=True)
        if not fits(value, hints[field])
    ]


def fits(value: object, hint: Any) -> bool:
    """Whether a value read by the driver's defaults is one of the hinted types; containers by their outside."""
    options = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    allowed = [get_origin(option) or option for option in options]
    if any(option in {Any, tuple, list} for option in allowed) and isinstance(value, list):
        return True
    if str in allowed and type(value) is bytes:  # the start of a text, which only our sessions read as text
        return True
    if float in allowed and type(value) is int:
        return True
    return Any in allowed or type(value) in allowed
