"""Durations, sizes and percentages of configuration."""

import pytest

from pgvigil import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1m30s", 90), ("2h", 7200), ("1d", 86400), ("1.5s", 1.5)],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert units.parse_duration_s(text) == seconds


@pytest.mark.parametrize("bad", ["30", 30, "", "5 minutes", "-3s", None, True])
def test_duration_without_a_unit_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        units.parse_duration_s(bad)


@pytest.mark.parametrize("seconds", [0, 0.25, 1.5, 42, 252, 11100, 187200, 90, 3600, 30])
def test_duration_text_reads_back(seconds: float) -> None:
    assert units.parse_duration_s(units.format_duration(seconds)) == seconds


def test_sizes_are_powers_of_1024() -> None:
    assert units.parse_size_bytes("10MB") == 10 * 1024 * 1024
    assert units.format_size(10 * 1024 * 1024) == "10.0 MB"


@pytest.mark.parametrize(("given", "percent"), [(80, 80.0), ("80 %", 80.0), ("12.5", 12.5)])
def test_percent_is_read(given: object, percent: float) -> None:
    assert units.parse_percent(given) == percent
