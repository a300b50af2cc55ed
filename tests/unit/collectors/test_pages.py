"""The page layout, against figures worked out by hand."""

import pytest

from collectors._pages import Attribute, btree_bytes, table_bytes

BLOCK = 8192
INT4 = Attribute(4, 4, fixed=True)
INT8 = Attribute(8, 8, fixed=True)
BOOL = Attribute(1, 1, fixed=True)


def test_a_row_of_one_int_takes_36_bytes_and_a_page_holds_226() -> None:
    """24 header + 4 data, aligned to 32, and 4 for the line pointer: 8168 / 36."""
    assert table_bytes([INT4], 226, block_size=BLOCK) == BLOCK
    assert table_bytes([INT4], 227, block_size=BLOCK) == 2 * BLOCK


def test_order_matters_because_of_alignment() -> None:
    padded = table_bytes([BOOL, INT8, BOOL, INT8], 100_000, block_size=BLOCK)
    dense = table_bytes([INT8, INT8, BOOL, BOOL], 100_000, block_size=BLOCK)
    assert padded / dense == pytest.approx((24 + 32 + 4) / (24 + 24 + 4), rel=0.01)


def test_short_texts_are_not_aligned_and_nulls_take_nothing() -> None:
    """1 + 7 bytes end at 32; with 9 bytes of text the row is 8 bytes longer."""
    text = Attribute(7, 4, fixed=False)
    assert table_bytes([BOOL, text], 8168 // 36, block_size=BLOCK) == BLOCK
    assert table_bytes([BOOL, text._replace(width=9)], 8168 // 36, block_size=BLOCK) == 2 * BLOCK
    null = text._replace(width=100, null_fraction=1.0)
    assert table_bytes([BOOL, null], 8168 // 36, block_size=BLOCK) == BLOCK


def test_an_index_on_a_bigint_holds_366_entries_a_page() -> None:
    """8 header + 8 data + 4 line pointer, in nine tenths of 8152 bytes."""
    assert (
        btree_bytes([INT8], 366, block_size=BLOCK) == 3 * BLOCK
    )  # the leaf, its share above, the first page
    assert btree_bytes([INT8], 366_000, block_size=BLOCK) / BLOCK == pytest.approx(1011, abs=1)


def test_a_row_wider_than_a_page_is_no_division_by_zero() -> None:
    assert table_bytes([Attribute(20_000, 4, fixed=False)], 10, block_size=BLOCK) == 10 * BLOCK
