"""Texts are asked for rarely, in one batch, and remembered."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.moment import Moment
from pgvigil.postgres.errors import ReadError
from pgvigil.sql.statement import is_own
from queries import texts
from queries.texts import FAILED_REST_S, MISSING_S, REST_S, StatementText, TextKey, Texts


class Server:
    """A reader that answers from `known` and counts how often it is asked."""

    def __init__(self, known: Mapping[TextKey, str], error: ReadError | None = None) -> None:
        self.known = known
        self.error = error
        self.asked: list[list[int]] = []

    def rows(self, _query: Any, parameters: Mapping[str, Any]) -> tuple[StatementText, ...]:
        self.asked.append(parameters["queryids"])
        if self.error is not None:
            raise self.error
        return tuple(StatementText(*key, text) for key, text in self.known.items())


class Store:
    def __init__(self, kept: dict[TextKey, str] | None = None) -> None:
        self.kept = kept or {}

    def get(self, _target: str, keys: Collection[TextKey]) -> dict[TextKey, str]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put(self, _target: str, more: Mapping[TextKey, str]) -> None:
        self.kept |= more


def at(mono_s: float) -> Moment:
    return Moment(datetime(2026, 11, 22, tzinfo=UTC), mono_s)


def refresh(cache: Texts, server: Server, mono_s: float) -> None:
    cache.refresh(server, at(mono_s))  # type: ignore[arg-type]


KEY, OTHER = (5, 10, 42), (5, 10, -7)


def test_what_was_asked_for_is_read_in_one_batch_without_its_data() -> None:
    store = Store()
    cache = Texts("orders-prod", store)
    server = Server({KEY: "SELECT 'secret'", OTHER: "SELECT $1", (6, 10, 42): "SELECT 'not asked for'"})
    assert (cache(*KEY), cache(*OTHER)) == (None, None)
    refresh(cache, server, 0)
    assert server.asked == [[-7, 42]]
    assert (cache(*KEY), cache(*OTHER)) == ("SELECT $1", "SELECT $1")
    assert store.kept == {KEY: "SELECT $1", OTHER: "SELECT $1"}


def test_nothing_is_read_when_nothing_is_wanted_or_the_store_knows_it() -> None:
    cache, server = Texts("orders-prod", Store({KEY: "SELECT 1"})), Server({})
    refresh(cache, server, 0)
    cache(*KEY)
    refresh(cache, server, 1)
    assert server.asked == []
    assert cache(*KEY) == "SELECT 1"


@pytest.mark.parametrize(("interval_s", "rest_s"), [(10.0, 8.5), (60.0, REST_S), (600.0, REST_S)])
def test_the_server_is_not_asked_again_before_it_rested(interval_s: float, rest_s: float) -> None:
    """Just under the interval of the polls, so that each may read once; less where polls are rarer."""
    cache = Texts("orders-prod", Store(), interval_s=interval_s)
    server = Server({KEY: "SELECT $1", OTHER: "SELECT $2"})
    cache(*KEY)
    refresh(cache, server, 0)
    cache(*OTHER)
    refresh(cache, server, rest_s - 1)
    assert (len(server.asked), cache(*OTHER)) == (1, None)
    refresh(cache, server, rest_s)
    assert (len(server.asked), cache(*OTHER)) == (2, "SELECT $2")


def test_a_text_that_the_server_lost_is_not_asked_for_at_every_poll() -> None:
    cache, server = Texts("orders-prod", Store()), Server({})
    for mono_s in (0, 60, 120, MISSING_S - 1):
        cache(*KEY)
        refresh(cache, server, mono_s)
    assert len(server.asked) == 1
    refresh(cache, server, MISSING_S)
    cache(*KEY)
    refresh(cache, server, MISSING_S + 60)
    assert len(server.asked) == 2


def test_a_read_that_failed_is_not_repeated_soon_and_what_was_asked_for_is_not_forgotten() -> None:
    cache = Texts("orders-prod", Store())
    failing = Server({}, ReadError(Failure(FailureKind.TIMEOUT, "too slow")))
    cache(*KEY)
    with pytest.raises(ReadError):
        refresh(cache, failing, 0)
    refresh(cache, failing, FAILED_REST_S - 1)
    assert len(failing.asked) == 1
    refresh(cache, Server({KEY: "SELECT $1"}), FAILED_REST_S)
    assert cache(*KEY) == "SELECT $1"


def test_our_own_statements_are_known_as_ours_also_from_the_store() -> None:
    store = Store()
    cache = Texts("orders-prod", store)
    cache(*KEY)
    refresh(cache, Server({KEY: "SELECT /* pgvigil:statements */ array_agg(t.dbid) FROM x"}), 0)
    assert is_own(cache(*KEY) or "")
    assert is_own(store.kept[KEY])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MOST_KNOWN", 3)
    monkeypatch.setattr(texts, "MOST_WANTED", 10)
    cache = Texts("orders-prod", Store())
    for queryid in range(100):
        cache(5, 10, queryid)
    server = Server({(5, 10, queryid): f"SELECT a{queryid}" for queryid in range(100)})
    refresh(cache, server, 0)
    assert server.asked == [list(range(10))]
    assert sum(cache(5, 10, queryid) is not None for queryid in range(10)) == 3
