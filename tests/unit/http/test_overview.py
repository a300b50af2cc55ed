"""What the page shows: trouble first, nothing twice, and nothing that is not known."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.http.overview import Condition, Overview, incident_cards, overview, target_row
from daemon.http.words import milliseconds, per_minute, percent
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.problems import Problem
from tests.support import boards
from tests.support.views import T0, down_view, incident, view


def look(*views: object, target: str = "", query: str = "") -> Overview:
    return overview(views, (), T0, target=target, query=query)  # type: ignore[arg-type]


def test_a_target_is_up_only_while_it_is_read() -> None:
    """An answer of long ago says nothing of now."""
    assert target_row(view(collectors=boards.read(49)), T0).condition is Condition.UP
    assert target_row(view(collectors=boards.read(51)), T0).condition is Condition.UNKNOWN
    assert target_row(view(availability=None, collectors=()), T0).condition is Condition.UNKNOWN
    down = target_row(down_view(), T0)
    assert (down.condition, down.why) == (Condition.DOWN, "refused: connection refused")


def test_what_is_not_known_is_not_a_number() -> None:
    row = target_row(down_view(facts=None, collectors=()), T0)
    assert (row.connections, row.usable, row.percent, row.age_s) == (None, None, None, None)


def test_connections_are_counted_against_the_slots_that_clients_can_get() -> None:
    row = target_row(view(), T0)
    assert (row.connections, row.usable, row.percent) == (4, 97, 4)


def test_the_worst_comes_first_then_the_newest_and_the_unjudged_last() -> None:
    old = T0 - timedelta(hours=1)
    several = (
        incident(id=1, severity=Level.WARNING),
        incident(id=2, state=State.UNKNOWN),
        incident(id=3),
        incident(id=4, pending_since=old),
        incident(id=5, state=State.PENDING),
        incident(id=6, state=State.RESOLVED),
    )
    assert [card.item.id for card in incident_cards([view(incidents=several)], T0)] == [3, 4, 1, 2]


def test_a_part_stands_with_its_whole_and_alone_when_that_is_gone() -> None:
    whole, piece = boards.pile_up(), boards.part(20)
    (card,) = incident_cards([view(incidents=(whole, piece))], T0)
    assert card.children == (piece,)
    assert [card.item for card in incident_cards([view(incidents=(piece,))], T0)] == [piece]


def test_parts_are_not_counted_beside_their_whole() -> None:
    page = look(*boards.troubled())
    assert page.counts == {
        "critical": 2,
        "warning": 1,
        "info": 0,
        "unknown": 1,
        "targets_up": 2,
        "targets_down": 1,
        "targets_unknown": 0,
    }
    assert page.open_count == 4


def test_targets_that_are_down_come_before_those_with_incidents_and_the_quiet_are_apart() -> None:
    page = look(*boards.troubled())
    assert [row.view.name for row in page.troubled] == ["legacy", "orders-prod"]
    assert [row.view.name for row in page.quiet] == ["reports"]
    assert not page.fold_quiet


def test_many_quiet_targets_are_folded_and_their_heaviest_statements_are_one_list() -> None:
    page = look(*boards.fleet())
    assert (len(page.troubled), len(page.quiet), page.fold_quiet) == (5, 195, True)
    (heaviest,) = page.statements
    assert len(heaviest.rows) == 20
    assert {one.exec_s for _, one, _ in heaviest.rows} == {100.0}


def test_a_storm_is_told_in_lines_after_some_accounts() -> None:
    page = look(*boards.storm(300))
    assert (len(page.cards), len(page.lines_shown), page.lines_left) == (20, 200, 80)
    assert sum(card.open for card in page.cards) == 3


@pytest.mark.parametrize(
    ("query", "found"), [("DB-00", 10), ("env=stage", 100), ("shard=199", 1), ("nothing", 0), ("", 200)]
)
def test_the_filter_looks_at_names_and_labels(query: str, found: int) -> None:
    page = look(*boards.fleet(), query=query)
    assert (page.shown, page.total, page.counts["targets_down"]) == (found, 200, 5)


def test_a_target_is_named_exactly() -> None:
    assert look(*boards.fleet(), target="db-00").shown == 0
    assert look(*boards.fleet(), target="db-001").shown == 1


def test_calls_are_counted_by_the_minute() -> None:
    (first,) = look(replace(view(), top=boards.top(1))).statements
    assert [calls for _, _, calls in first.rows] == [0.6]


def test_problems_of_one_kind_stand_together_pgvigil_s_own_first() -> None:
    own = Problem(slug="no-sinks", sentence="s", fix="f")
    page = overview(boards.fleet(3), (own,), T0, target="", query="")
    assert [(group.slug, len(group.problems)) for group in page.problems] == [
        ("no-sinks", 1),
        ("not-pg-monitor", 3),
    ]


def test_figures_have_as_many_digits_as_they_deserve() -> None:
    assert [milliseconds(v) for v in (0.01234, 8.333, 250.4, 1613, 25_000)] == [
        "0.0123 ms",
        "8.33 ms",
        "250 ms",
        "1,613 ms",
        "25s",
    ]
    assert [per_minute(v) for v in (0.04, 6.25, 6000)] == ["<0.1", "6.2", "6,000"]
    assert [percent(v) for v in (None, 0.0, 0.004, 0.449)] == ["unknown", "0 %", "<1 %", "45 %"]
