"""slow_query: the mean time of a call, behind two gates."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.rules.slow_query import RULE, SlowQueryParams
from pgvigil.model.finding import Finding, Judgement
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta
from pgvigil.statements import StatementChanges, StatementKey
from queries.delta import StatementDeltas
from queries.texts import OWN
from tests.support import views
from tests.support.readings import HOSTILE, assert_harmless, context
from tests.support.statements import START, FakeStatements, key

SLOW, BUSY = key(77), key(1)
TEXT = "SELECT * FROM orders WHERE customer_id = $1"
FACTS = views.facts(
    version_num=170000,
    extensions={"pg_stat_statements": ("Stats", "1.11")},
    columns={"pg_stat_activity": frozenset({"query_id"})},
    settings={"track_io_timing": "on"},
)


def minute(*ran: tuple[StatementKey, int, float], version: int = 17) -> Delta[StatementChanges]:
    """One minute in which these ran: key, calls, milliseconds a call."""
    server, deltas = FakeStatements(version), StatementDeltas()
    deltas.take(server.snapshot(0))
    for which, calls, ms in ran:
        server.run(which, calls, ms)
    return deltas.take(server.snapshot(60))


def judge(delta: Delta[StatementChanges], *, text: str | None = TEXT, **known: Any) -> Judgement:
    params = SlowQueryParams(**known.pop("params", {}))
    known = {"database_names": {5: "shop"}, "facts": FACTS, "text": lambda *_: text, **known}
    return RULE.evaluate(delta, params, context(**known))


def level(*ran: tuple[StatementKey, int, float], **known: Any) -> Level | None:
    """Of SLOW."""
    found = [each for each in judge(minute(*ran), **known).findings if each.subject == SLOW.subject]
    return found[0].level if found else None


def finding(*ran: tuple[StatementKey, int, float], **known: Any) -> Finding:
    (found,) = judge(minute(*ran or [(SLOW, 10, 1200.0)]), **known).findings
    return found


@pytest.mark.parametrize(
    ("mean_ms", "expected"),
    [
        (250, None),
        (251, Level.HOLD),
        (499, Level.HOLD),
        (500, Level.WARNING),
        (4999, Level.WARNING),
        (5000, Level.CRITICAL),
    ],
)
def test_the_mean_of_the_interval_decides(mean_ms: float, expected: Level | None) -> None:
    assert level((SLOW, 10, mean_ms)) == expected


@pytest.mark.parametrize(
    ("ran", "expected"),
    [
        ([(SLOW, 5, 1000.0)], Level.WARNING),
        ([(SLOW, 4, 1000.0)], Level.HOLD),
        ([(SLOW, 5, 1000.0), (BUSY, 950_000, 0.1)], Level.WARNING),  # 5 of 100 s
        ([(SLOW, 5, 1000.0), (BUSY, 960_000, 0.1)], Level.HOLD),
        ([(SLOW, 1, 1.0)], None),
    ],
)
def test_the_gates_open_nothing_and_resolve_nothing(ran: Any, expected: Level | None) -> None:
    """A statement that fires and is called less often, or beside more work, is still slow: it holds."""
    assert level(*ran) == expected


def test_gates_and_thresholds_can_be_set() -> None:
    assert (
        level((SLOW, 1, 100.0), params={"min_calls": 1, "warning": "100ms", "clear": "50ms"}) is Level.WARNING
    )
    assert level((SLOW, 9, 9000.0), params={"warning": None, "critical": None, "clear": None}) is None
    assert level((SLOW, 9, 600.0), params={"clear": None, "critical": None}) is Level.WARNING


def test_the_defaults_are_those_that_are_documented() -> None:
    params = SlowQueryParams()
    assert (params.warning, params.critical, params.clear) == (0.5, 5.0, 0.25)
    assert (params.for_s, params.keep_firing_for_s) == (120.0, 300.0)
    assert (params.min_calls, params.min_share) == (5, 5.0)


def test_the_finding_says_what_how_much_and_since_when() -> None:
    found = finding((SLOW, 10, 1200.0), (BUSY, 8000, 1.0))
    assert found.summary == f"1.2s a call, 60 % of the server's time: {TEXT}"
    assert (found.database, found.subject) == ("shop", "statement 5/10/77")
    assert found.value == pytest.approx(1.2)
    assert found.about == {"query 77"}
    assert found.measured_from == START
    assert found.evidence.impact.startswith("10 calls in 1m took 12s together: on average 0.2 sessions")
    figures = {figure.name: figure.value for figure in found.evidence.figures}
    assert figures["Calls a minute"] == "10"
    assert figures["Share of the server's time"] == "60 %"
    assert figures["Rows a call"] == "1"
    assert figures["Blocks a call"] == "2 (16.0 kB, 50 % not in shared buffers)"
    assert found.evidence.blocks[0].text == TEXT


def test_the_subject_is_the_same_over_polls_and_tells_nested_from_not() -> None:
    assert finding((SLOW, 10, 1200.0)).fingerprint == finding((SLOW, 90, 9000.0)).fingerprint
    both = judge(minute((SLOW, 10, 900.0), (SLOW._replace(toplevel=False), 10, 900.0))).findings
    assert len({each.fingerprint for each in both}) == 2


def test_steps_are_commands_that_never_run_the_statement() -> None:
    commands = [step.sql or "" for step in finding().steps]
    assert commands[0].startswith("SELECT pid, ")
    assert commands[0].endswith(" FROM pg_stat_activity WHERE query_id = 77")
    assert commands[1:] == [
        f"EXPLAIN (GENERIC_PLAN) {TEXT}",
        'SELECT * FROM "Stats".pg_stat_statements WHERE dbid = 5 AND userid = 10 AND queryid = 77',
    ]


@pytest.mark.parametrize("text", ["VACUUM orders", "CALL f()", "SELECT a FROM …", None])
def test_what_cannot_be_explained_is_not_offered_for_it(text: str | None) -> None:
    assert not any("EXPLAIN" in (step.sql or step.text) for step in finding(text=text).steps)


def test_an_older_server_is_offered_no_command_that_it_does_not_know() -> None:
    old = views.facts(version_num=130000, extensions={}, columns={})
    assert [step.sql for step in finding(facts=old).steps] == [None]
    assert [step.sql for step in finding(facts=None).steps] == [None]


def test_until_the_text_is_known_the_finding_says_so_and_asks_for_it() -> None:
    asked: list[tuple[int, int, int]] = []

    def not_yet(*which: int) -> None:
        asked.append(which)  # type: ignore[arg-type]

    (found,) = judge(minute((SLOW, 10, 1200.0)), text=None).findings
    assert "statement 77" in found.summary
    assert "not known yet" in found.evidence.blocks[0].text
    RULE.evaluate(
        minute((SLOW, 10, 1200.0), (BUSY, 9, 1.0)),
        SlowQueryParams(),
        context(text=not_yet, database_names={5: "shop"}),
    )
    assert asked == [(5, 10, 77)]


def test_our_own_statements_are_no_findings_and_are_covered() -> None:
    judgement = judge(minute((SLOW, 10, 9000.0)), text=OWN)
    assert judgement.findings == ()
    assert judgement.scope.covers("shop", SLOW.subject)


def test_an_idle_statement_is_covered_and_one_that_cannot_be_told_is_not() -> None:
    server, deltas = FakeStatements(14), StatementDeltas()
    for which in (SLOW, BUSY):
        server.run(which, 9, ms=9000.0)
    deltas.take(server.snapshot(0))
    server.evict(BUSY)
    judgement = judge(deltas.take(server.snapshot(60)))
    assert judgement.findings == ()
    assert judgement.scope.covers("shop", SLOW.subject)
    assert not judgement.scope.covers("shop", BUSY.subject)
    assert judgement.scope.reason


@pytest.mark.parametrize("change", ["reset", "restart", "first"])
def test_an_interval_that_cannot_be_told_is_no_recovery(change: str) -> None:
    server, deltas = FakeStatements(14), StatementDeltas()
    server.run(SLOW)
    if change != "first":
        deltas.take(server.snapshot(0))
        getattr(server, change)()
        server.run(SLOW, 10, ms=9000.0)
    judgement = judge(deltas.take(server.snapshot(60)))
    assert judgement.findings == ()
    assert not judgement.scope.covers("shop", SLOW.subject)
    assert judgement.scope.reason  # what fires is unknown from here on, and says why


def test_a_statement_that_our_role_can_no_longer_see_has_not_recovered() -> None:
    server, deltas = FakeStatements(17), StatementDeltas()
    for which in (SLOW, BUSY):
        server.run(which, 9, ms=9000.0)
    deltas.take(server.snapshot(0))
    server.entries[key(0)] = server.entries.pop(SLOW)._replace(queryid=0)
    deltas.take(server.snapshot(60))
    scope = judge(deltas.take(server.snapshot(120))).scope
    assert not scope.covers("shop", SLOW.subject)
    assert scope.covers("shop", BUSY.subject)
    assert "pg_monitor" in scope.reason


def test_a_statement_of_an_unknown_database_is_not_judged() -> None:
    judgement = judge(minute((SLOW, 10, 9000.0)), database_names={})
    assert judgement.findings == ()
    assert not judgement.scope.covers(None, SLOW.subject)


def test_only_the_costliest_are_reported_and_the_rest_is_not_called_recovered() -> None:
    many = [(key(number), 5, 1000.0 + number) for number in range(1, 151)]
    judgement = judge(minute(*many))
    assert {each.subject for each in judgement.findings} == {key(number).subject for number in range(51, 151)}
    assert not judgement.scope.covers("shop", key(50).subject)


@pytest.mark.parametrize(
    ("grown", "words"),
    [
        ({"temp_blocks": 5000}, "work_mem"),
        ({"io_ms": 9000.0}, "reading from disk"),
        ({"shared_hit": 900_000}, "an index may be missing"),
        ({"rows": 900_000, "shared_hit": 9000}, "LIMIT"),
        ({}, "locks"),
        ({"shared_hit": 9000}, ""),
    ],
)
def test_the_figures_speak_for_a_cause(grown: dict[str, Any], words: str) -> None:
    server, deltas = FakeStatements(), StatementDeltas()
    deltas.take(server.snapshot(0))
    server.run(SLOW, 10, ms=1200.0)
    quiet = {"temp_blocks": 0, "io_ms": 0.0}
    server.entries[SLOW] = server.entries[SLOW]._replace(**{**quiet, **grown})
    (found,) = judge(deltas.take(server.snapshot(60))).findings
    assert words in found.evidence.cause
    assert bool(words) == bool(found.evidence.cause)


def test_hostile_names_and_texts_do_no_harm() -> None:
    hostile = HOSTILE.replace("\n", " ").replace("\x00", "")
    printable = "".join(char for char in hostile if char.isprintable())
    assert_harmless(finding(text=f"SELECT {printable} FROM t", database_names={5: "shop" + HOSTILE}))


def test_since_reaches_back_to_the_reading_before() -> None:
    delta = minute((SLOW, 10, 1200.0))
    assert delta.until - delta.since == timedelta(seconds=60)
