"""Columns give back exactly what was packed, and are small where values are alike."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgvigil.columns import packed, unpacked

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


@given(st.lists(PLAIN, max_size=6))
def test_whatever_json_can_hold_comes_back(values: list[object]) -> None:
    assert unpacked(packed(values)) == values


def test_rows_that_are_alike_take_a_fraction_of_their_text() -> None:
    rows = [[{"pid": 8000 + n, "age_s": n / 7, "user": "ci"} for n in range(50)] for _ in range(20)]
    assert unpacked(packed(rows)) == rows
    assert len(packed(rows)) * 20 < len(json.dumps(rows))


@pytest.mark.parametrize("data", [b"", b"x\x9c", packed([])[:-1], b"x\x9c\xab\x05\x00\x00z\x00z"])
def test_what_was_never_packed_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no packed columns|line 1"):
        unpacked(data)
