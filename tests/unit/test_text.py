"""Text from a database cannot move, hide or reorder what stands beside it."""

from hypothesis import given
from hypothesis import strategies as st

from pgvigil.text import is_printable, one_line, printable


def test_bidi_overrides_zero_width_and_control_characters_are_gone() -> None:
    assert printable("a\u202eb\u200bc\x1b[31md\x00") == "abc[31md"


def test_line_breaks_stay_in_blocks_and_vanish_from_lines() -> None:
    assert printable("SELECT\r\n\t1") == "SELECT\n    1"
    assert one_line("SELECT\r\n\t1\u2028;") == "SELECT 1;"


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_one_line_is_printable_and_never_longer_than_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert all(map(is_printable, line))
