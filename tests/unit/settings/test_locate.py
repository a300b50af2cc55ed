"""Every key of a TOML text is found on the line where a person sees it."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.settings.locate import KeyPath, locate

TEXT = '''\
# a comment with [a] = "bracket"
include = ["a.toml",
  # between
  "b.toml"]

[daemon]
listen = "127.0.0.1:9642" # why not
 public_url="x"

[[targets]]
name = "one"
labels = { env = "prod", "team name" = "pay" }

[[targets]]
  name = 'two'
  dsn = """
[not] a = "table" \\""" still
""""
  databases.include = [["x"], "]"]

[[targets.extra]]
a.b.c = 1

[[targets.extra]]
a = { b = { c = [1, 2,
  3] } }

[rules."slow query".'over.rides'."orders-*"]
warning = 1_000
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("include",), 2),
        (("include", 1), 4),
        (("daemon",), 6),
        (("daemon", "listen"), 7),
        (("daemon", "public_url"), 8),
        (("targets",), 10),
        (("targets", 0, "name"), 11),
        (("targets", 0, "labels", "team name"), 12),
        (("targets", 1), 14),
        (("targets", 1, "name"), 15),
        (("targets", 1, "dsn"), 16),
        (("targets", 1, "databases", "include", 0, 0), 19),
        (("targets", 1, "databases", "include", 1), 19),
        (("targets", 1, "extra", 0, "a", "b", "c"), 22),
        (("targets", 1, "extra", 1, "a", "b", "c", 2), 26),
        (("rules", "slow query", "over.rides", "orders-*"), 28),
        (("rules", "slow query", "over.rides", "orders-*", "warning"), 29),
    ],
)
def test_line_of(path: KeyPath, line: int) -> None:
    assert locate(TEXT)[path] == line


def paths(value: object, at: KeyPath = ()) -> set[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {at}.union(*(paths(inner, (*at, key)) for key, inner in items))


def test_every_path_of_the_document_has_a_line() -> None:
    assert paths(tomllib.loads(TEXT)) - {()} == set(locate(TEXT))


STRINGS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
VALUES = st.recursive(
    st.integers(-(2**40), 2**40) | st.booleans() | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=12,
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ", ".join(toml(inner) for inner in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


@given(st.dictionaries(STRINGS, VALUES, max_size=5))
def test_any_document_is_walked_whole(document: dict[str, object]) -> None:
    """Whatever strings hold, the scanner finds exactly the paths that the reader finds."""
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items())
    assert paths(tomllib.loads(text)) - {()} == set(locate(text))
