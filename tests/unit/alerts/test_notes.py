"""What an incident absorbed, as lines of its evidence."""

from alerts.notes import KEPT, SHOWN, Notes
from tests.unit.alerts.acting import finding


def _absorbing(number: int) -> Notes:
    notes = Notes(own=("own",))
    for each in range(number):
        notes = notes.adding(finding(subject=f"statement {each}", summary=f"slow {each}"), None)
    return notes


def test_the_first_lines_are_shown_and_the_rest_is_a_number() -> None:
    shown = _absorbing(SHOWN + 3).shown
    assert shown[:2] == ("own", "slow_query: slow 0")
    assert (len(shown), shown[-1]) == (SHOWN + 2, "and 3 more")


def test_what_just_fits_needs_no_number() -> None:
    assert _absorbing(SHOWN).shown[-1] == f"slow_query: slow {SHOWN - 1}"


def test_the_same_text_of_two_subjects_is_one_line() -> None:
    notes = _absorbing(1).adding(finding(subject="another", summary="slow 0"), None)
    assert notes.shown == ("own", "slow_query: slow 0")


def test_memory_is_bounded_however_much_is_absorbed() -> None:
    assert len(_absorbing(KEPT + 50).absorbed) == KEPT
