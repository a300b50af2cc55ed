"""threshold: a limit that users put on any column, checked when it is read and honest when it is judged."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from alerts.rules.threshold import RULE, ThresholdParams
from collectors.activity import SessionGroup
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta
from pgvigil.postgres.frames import Frame
from pgvigil.statements import COUNTERS, KEY, StatementChanges
from tests.support.readings import HOSTILE, activity, assert_harmless, context, group, session, snapshot

IDLE: dict[str, Any] = {"collector": "activity", "column": "sessions", "aggregate": "sum", "warning": 10}


def judge(params: dict[str, Any], *groups: SessionGroup) -> Judgement:
    reading = snapshot(activity(groups=groups), "activity")
    return RULE.evaluate(reading, ThresholdParams(**params), context())


def refused(**params: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        ThresholdParams(**params)
    (error,) = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"collector": "activty"}, "collector: Value error, unknown collector 'activty'; did you mean 'activity'?"),
        ({"column": "sesions"}, "column: Value error, unknown column 'sesions'; did you mean 'sessions'?"),
        ({"column": "zzz"}, "column: Value error, unknown column 'zzz'; there are"),
        ({"table": "activity_groop"}, "did you mean 'activity_groups'?"),
        ({"column": "state", "aggregate": "count"}, "several tables have a column 'state': set table to one of"),
        ({"where": {"aplication": "x"}}, "where: Value error, unknown column 'aplication'; did you mean 'application'?"),
        ({"group_by": ["usr_name"]}, "did you mean 'user_name'?"),
        ({"warning": None}, "warning, critical or both must be given"),
        ({"critical": 5}, "clear <= warning <= critical must hold"),
        ({"comparison": "below", "critical": 50}, "clear >= warning >= critical must hold"),
        ({"warning": "30s"}, "warning must be a number: the column's unit is count"),
        ({"column": "pid", "warning": "9 lives"}, "warning must be a number: the column's unit is none"),
        ({"column": "longest_state_s", "aggregate": "max", "warning": "9 lives"}, "warning: '9 lives' is not a duration"),
        ({"column": "wait_event_type", "aggregate": "max"}, "is no number: it can only be counted"),
        ({"column": "pid", "group_by": ["query"]}, "unknown column 'query'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_the_nearest_right_thing(params: dict[str, Any], complaint: str) -> None:
    assert complaint in refused(**{**IDLE, **params})


@pytest.mark.parametrize(
    ("column", "table", "text", "number"),
    [
        ("longest_state_s", "", "1m30s", 90.0),
        ("exec_ms", "", "2s", 2000.0),
        ("wal_bytes", "", "10MB", 10 * 1024**2),
        ("build_percent", "", "80 %", 80.0),
    ],
)
def test_limits_may_be_written_in_the_unit_of_the_column(
    column: str, table: str, text: str, number: float
) -> None:
    collector = {"exec_ms": "statements", "wal_bytes": "statements", "build_percent": "constraints"}.get(
        column, "activity"
    )
    params = ThresholdParams(collector=collector, table=table, column=column, warning=text)
    assert params.limits.warning == number


@pytest.mark.parametrize(
    ("sessions", "level"), [(4, None), (5, None), (6, Level.HOLD), (10, Level.WARNING), (20, Level.CRITICAL)]
)
def test_values_above_are_graded_with_hysteresis(sessions: int, level: Level | None) -> None:
    judgement = judge({**IDLE, "critical": 20, "clear": 5}, group(sessions))
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])
    assert judgement.scope == Scope()


@pytest.mark.parametrize(
    ("sessions", "level"),
    [(31, None), (30, None), (29, Level.HOLD), (20, Level.WARNING), (5, Level.CRITICAL)],
)
def test_values_below_are_graded_the_other_way_round(sessions: int, level: Level | None) -> None:
    params = {**IDLE, "comparison": "below", "warning": 20, "critical": 5, "clear": 30}
    judgement = judge(params, group(sessions))
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])


def test_only_rows_that_match_count() -> None:
    params = {**IDLE, "where": {"state": "idle", "database": "shop"}}
    assert judge(params, group(9), group(9, database="other"), group(9, "active")).findings == ()
    (finding,) = judge(params, group(9), group(1, application="b")).findings
    assert finding.value == 10
    assert finding.subject == "all"


def test_each_group_is_its_own_finding_with_a_stable_subject() -> None:
    params = {**IDLE, "group_by": ["application", "database"], "title": "Idle connections"}
    findings = judge(params, group(11), group(12, application="it's"), group(3, application="c")).findings
    assert [finding.subject for finding in findings] == [
        "application='web', database='shop'",
        "application='it''s', database='shop'",
    ]
    assert findings[0].summary == "Idle connections: 11 (application web, database shop)"


@pytest.mark.parametrize(
    ("aggregate", "value"), [("max", 9.0), ("min", 1.0), ("sum", 15.0), ("count", 3.0), ("avg", 5.0)]
)
def test_aggregates(aggregate: str, value: float) -> None:
    params = {**IDLE, "aggregate": aggregate, "warning": 0.5}
    (finding,) = judge(params, group(9), group(5), group(1)).findings
    assert finding.value == value


def test_nothing_is_said_of_no_values_but_their_sum_is_nothing() -> None:
    low = {**IDLE, "comparison": "below", "warning": 1}
    assert judge({**low, "aggregate": "min"}).findings == ()
    assert judge({**low, "aggregate": "sum"}).findings[0].value == 0
    silent = {**low, "column": "longest_state_s", "aggregate": "avg"}
    assert judge(silent, group(1, longest_state_s=None)).findings == ()


def test_the_rows_with_the_worst_values_are_shown_with_the_columns_in_question() -> None:
    params = {
        "collector": "activity",
        "table": "activity_sessions",
        "column": "state_age_s",
        "where": {"state": "active"},
        "group_by": ["user_name"],
        "warning": "1m",
    }
    sessions = [session(pid=pid, state_age_s=float(pid)) for pid in range(60, 90)]
    reading = snapshot(activity(*sessions), "activity")
    (finding,) = RULE.evaluate(reading, ThresholdParams(**params), context()).findings
    lines = finding.evidence.blocks[0].text.splitlines()
    assert lines[0].split() == ["state_age_s", "user_name", "state"]
    assert lines[1].split() == ["89.0", "ci_user", "active"]
    assert lines[-1] == "... 22 more"
    assert finding.summary == "max of state_age_s: 1m29s (user_name ci_user)"


def test_a_reading_of_one_database_covers_that_one() -> None:
    params = ThresholdParams(**IDLE)
    reading = snapshot(activity(groups=(group(99),)), "activity", database="shop")
    judgement = RULE.evaluate(reading, params, context())
    assert judgement.scope == Scope(databases=frozenset({"shop"}))
    assert judgement.findings[0].database == "shop"


def changes(**columns: list[Any]) -> Delta[StatementChanges]:
    rows = len(next(iter(columns.values())))
    known = {name: np.zeros(rows, np.int64) for name in (*KEY, *COUNTERS)}
    frame = Frame({**known, **{name: np.array(values) for name, values in columns.items()}})
    empty = Frame({name: np.zeros(0, np.int64) for name in KEY})
    return Delta(
        target="orders-prod",
        collector="statements",
        since=datetime(2026, 11, 22, tzinfo=UTC),
        until=datetime(2026, 11, 22, 0, 1, tzinfo=UTC),
        elapsed_s=60.0,
        unknown=None,
        rows=StatementChanges(ran=frame, uncovered=empty, present=frame, hidden=0),
    )


def test_statements_are_judged_by_what_ran_in_the_interval() -> None:
    params = ThresholdParams(
        collector="statements", column="temp_blocks", group_by=["queryid"], where={"calls": 2}, warning=100
    )
    delta = changes(queryid=[7, 8, 9], temp_blocks=[500, 20, 900], calls=[2, 2, 1])
    (finding,) = RULE.evaluate(delta, params, context()).findings
    assert (finding.subject, finding.value) == ("queryid='7'", 500.0)


def test_an_interval_that_cannot_be_told_proves_nothing() -> None:
    params = ThresholdParams(collector="statements", column="calls", comparison="below", warning=100)
    delta = replace(changes(calls=[2]), unknown="this is the first reading")
    judgement = RULE.evaluate(delta, params, context())
    assert judgement.findings == ()
    assert judgement.scope.blind_to(None, "all")


def test_hostile_names_do_no_harm() -> None:
    params = {**IDLE, "group_by": ["application"], "where": {"database": HOSTILE}, "title": "x"}
    (finding,) = judge(params, group(50, application=HOSTILE, database=HOSTILE)).findings
    assert_harmless(finding)
    assert finding.subject.isprintable()


def test_by_itself_it_watches_nothing() -> None:
    assert RULE.watches == ()
