"""The cache of statement texts, and small values by name."""

from pgvigil.store import Store
from pgvigil.store.texts import MAX_TEXT_CHARS

BIG = 2**63 - 1


def test_texts_are_known_by_database_user_and_queryid(store: Store) -> None:
    """A queryid uses all of its 64 bits, an oid all of its 32."""
    texts = {(2**32 - 1, 10, -BIG - 1): "SELECT 1", (5, 10, BIG): "SELECT $1 -- \udcff <!channel>"}
    store.texts.put("orders", texts)
    assert store.texts.get("orders", [*texts, (5, 10, 7)]) == texts
    assert store.texts.get("billing", texts) == {}
    assert store.texts.get("orders", []) == {}


def test_a_text_that_is_put_again_replaces_the_old_one(store: Store) -> None:
    store.texts.put("orders", {(1, 2, 3): "old", (1, 2, 4): "other"})
    store.texts.put("orders", {(1, 2, 3): "new"})
    assert store.texts.get("orders", [(1, 2, 3), (1, 2, 4)]) == {(1, 2, 3): "new", (1, 2, 4): "other"}


def test_a_monstrous_text_is_cut(store: Store) -> None:
    store.texts.put("orders", {(1, 2, 3): "x" * 5_000_000})
    assert len(store.texts.get("orders", [(1, 2, 3)])[1, 2, 3]) == MAX_TEXT_CHARS


def test_the_oldest_make_room_when_a_target_has_too_many(store: Store) -> None:
    store.texts.put("billing", {(1, 2, 3): "y" * 100})
    for queryid in range(10):
        store.texts.put("orders", {(1, 2, queryid): "x" * 10}, keep_chars=45)
    kept = store.texts.get("orders", [(1, 2, queryid) for queryid in range(10)])
    assert sorted(kept) == [(1, 2, 6), (1, 2, 7), (1, 2, 8), (1, 2, 9)]
    assert store.texts.get("billing", [(1, 2, 3)])


def test_ten_thousand_texts_at_once(store: Store) -> None:
    texts = {(1, 2, queryid): f"SELECT {queryid}" for queryid in range(10_000)}
    store.texts.put("orders", texts)
    assert store.texts.get("orders", texts) == texts


def test_targets_that_are_no_longer_watched_are_forgotten(store: Store) -> None:
    for target in ("orders", "billing"):
        store.texts.put(target, {(1, 2, 3): "x"})
    assert store.texts.forget(["orders"]) == 1
    assert store.texts.get("orders", [(1, 2, 3)])
    assert not store.texts.get("billing", [(1, 2, 3)])


def test_values_are_replaced_and_forgotten(store: Store) -> None:
    assert store.state.get("channel") is None
    for value in ({"a": [1, None]}, "C1", 0, False):
        store.state.put("channel", value)
        assert store.state.get("channel") == value
    store.state.put("channel", None)
    assert store.state.get("channel") is None
