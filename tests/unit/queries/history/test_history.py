"""What tracked statements did, kept in columns: nothing that cannot be told becomes zero, and old ones become coarse."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgvigil.statements import StatementKey
from queries.history.chunk import Chunk, coarse, packed, unpacked
from queries.history.filling import Filling, text_hash
from queries.history.series import points, totals
from queries.tracked import MEASURES, Intervals
from tests.support.intervals import MINUTE, NEW, ONE, TWO, interval
from tests.support.views import T0


def chunk_of(*intervals: Intervals, every_s: float = MINUTE, texts: Mapping[int, str] | None = None) -> Chunk:
    filling = Filling("shop", lambda _dbid, _userid, queryid: (texts or {}).get(queryid), 0.0)
    for each in intervals:
        filling.add(each, every_s, {5: "shop"})
    return filling.chunk()


def calls(chunk: Chunk, key: StatementKey, text: int = 0) -> list[tuple[float, float]]:
    """Seconds after T0 at its end, and calls, of each point."""
    return [((one.until - T0).total_seconds(), one.sums["calls"]) for one in points([chunk], key, text)]


def test_what_ran_is_kept_by_the_statement_and_all_others_together() -> None:
    chunk = chunk_of(interval({ONE: 3, TWO: 0}), interval({ONE: 5, TWO: 1}, 60))
    assert calls(chunk, ONE) == [(60, 3), (120, 5)]
    assert calls(chunk, TWO) == [(60, 0), (120, 1)]
    first, second, rest = totals([chunk], T0)
    assert (first.key, first.sums["calls"], first.sums["exec_ms"]) == (ONE, 8, 80)
    assert (second.key, second.covered_s) == (TWO, 120)
    assert (rest.key, rest.sums) == (None, dict.fromkeys(MEASURES, 2.0))


def test_what_cannot_be_told_is_missing_and_never_zero() -> None:
    chunk = chunk_of(interval({ONE: 3, TWO: None}), interval({ONE: 3, TWO: 4}, 60))
    assert calls(chunk, TWO) == [(120, 4)]
    assert {one.key: one.covered_s for one in totals([chunk], T0)} == {ONE: 120, TWO: 60, None: 120}


def test_an_interval_of_which_nothing_is_known_is_a_gap() -> None:
    chunk = chunk_of(interval({ONE: 3}), interval({ONE: 3}, 60, unknown=True), interval({ONE: 4}, 120))
    assert calls(chunk, ONE) == [(60, 3), (180, 4)]


def test_who_comes_and_goes_is_there_for_as_long_as_it_was_tracked() -> None:
    chunk = chunk_of(interval({ONE: 3, TWO: 1}), interval({NEW: 9, ONE: 4}, 60), interval({NEW: 8}, 120))
    assert calls(chunk, ONE) == [(60, 3), (120, 4)]
    assert calls(chunk, TWO) == [(60, 1)]
    assert calls(chunk, NEW) == [(120, 9), (180, 8)]


def test_short_intervals_are_put_together_and_those_with_a_gap_between_them_are_not() -> None:
    ran = [interval({ONE: 1, TWO: None}, at_s) for at_s in (0, 60, 120, 300, 360)]
    chunk = chunk_of(*ran, every_s=300)
    assert calls(chunk, ONE) == [(180, 3), (420, 2)]
    (point, _) = points([chunk], ONE)
    assert (point.since, point.covered_s) == (T0, 180)
    assert calls(chunk, TWO) == []


def test_it_comes_out_of_the_store_as_it_went_in() -> None:
    chunk = chunk_of(interval({ONE: 3, TWO: None}), interval({NEW: 2, ONE: 1}, 60), texts={-7: "SELECT $1"})
    again = unpacked(packed(chunk))
    assert again.statements == chunk.statements == [ONE, TWO, NEW]
    assert again.texts.tolist() == [text_hash("SELECT $1"), 0, 0]
    for name in MEASURES:
        assert np.array_equal(again.values[name], chunk.values[name])
    assert np.array_equal(again.covered_s, chunk.covered_s)
    assert again.databases.tolist() == ["shop"] * 3
    assert again.first_at == T0 + timedelta(seconds=60)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 4000), byte=st.integers(0, 255), cut=st.booleans())
def test_what_is_damaged_is_refused_and_never_throws_anything_else(at: int, byte: int, cut: bool) -> None:
    data = bytearray(packed(chunk_of(interval({ONE: 3}), interval({ONE: 3, TWO: 1}, 60))))
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= byte or 1
    with suppress(ValueError):
        assert len(unpacked(bytes(data))) == 2, "what is not noticed did no harm"


def test_columns_that_do_not_fit_each_other_are_refused() -> None:
    chunk = chunk_of(interval({ONE: 3}), interval({ONE: 3}, 60))
    chunk.values["rows"] = chunk.values["rows"][:1]
    with pytest.raises(ValueError, match="do not fit"):
        unpacked(packed(chunk))


def test_old_intervals_become_half_hours_with_all_that_ran_in_them() -> None:
    ran = [interval({ONE: 2, TWO: None if number % 2 else 4}, 60 * number) for number in range(90)]
    chunk = chunk_of(*ran)
    cells = coarse(chunk)
    assert [(one.until - one.since).total_seconds() for one in points([cells], ONE)] == [1800, 1800, 1800]
    assert calls(cells, ONE) == [(1800, 60), (3600, 60), (5400, 60)]
    assert {one.covered_s for one in points([cells], TWO)} == {900}
    assert [one.sums for one in totals([cells], T0)] == [one.sums for one in totals([chunk], T0)]
    assert len(packed(cells)) < len(packed(chunk))
    assert coarse(cells) is cells


def test_a_cell_begins_anew_after_a_gap_in_it() -> None:
    """Its time is then not all covered, and it says so."""
    cells = coarse(chunk_of(interval({ONE: 2}), interval({ONE: 3}, 1200)))
    (point,) = points([cells], ONE)
    assert (point.covered_s, point.sums["calls"]) == (120, 5)
    assert (point.until - point.since).total_seconds() == 1260


# --- another queryid --------------------------------------------------------------------------------------

SAME = {-7: "SELECT $1", 9: "SELECT $1"}


def test_after_an_upgrade_a_statement_has_the_history_of_its_text() -> None:
    chunk = chunk_of(interval({ONE: 2}), interval({NEW: 3}, 60), texts=SAME)
    assert calls(chunk, NEW, text_hash("SELECT $1")) == [(60, 2), (120, 3)]
    assert calls(chunk, NEW) == [(120, 3)]
    assert calls(chunk, NEW, text_hash("SELECT $2")) == [(120, 3)]


def test_while_both_run_each_has_its_own() -> None:
    chunk = chunk_of(interval({ONE: 2, NEW: 3}), texts=SAME)
    assert calls(chunk, NEW, text_hash("SELECT $1")) == [(60, 3)]


def test_of_several_with_that_text_nobody_knows_which_it_was() -> None:
    """One for each schema, as with one schema a tenant."""
    chunk = chunk_of(interval({ONE: 2, TWO: 4}), interval({NEW: 3}, 60), texts={**SAME, 8: "SELECT $1"})
    assert calls(chunk, NEW, text_hash("SELECT $1")) == [(120, 3)]


def test_the_text_of_another_role_or_database_is_another_statement() -> None:
    other = ONE._replace(userid=11)
    chunk = chunk_of(interval({other: 2}), interval({NEW: 3}, 60), texts=SAME)
    assert calls(chunk, NEW, text_hash("SELECT $1")) == [(120, 3)]
