"""A check's rule: what its header's limits let through, and what is known of a whole cluster."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.rules._checks import CheckParams, rule_of
from pgvigil.model.facts import Facts
from pgvigil.model.finding import Judgement
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Snapshot
from schemas.check import Check, parse
from schemas.collectors.schema_checks import SchemaReading
from schemas.rows import MOST_KNOWN, MOST_TOLD, CheckRow
from tests.support.readings import NOW, context, snapshot

HEADER = """\
-- meaning: It.
-- severity: info
-- for: 1h
-- why: Because.
-- evidence: It.
-- what_to_do: Nothing.
-- tell_from: min_size = 10MB of size_bytes: Smaller ones are not told of.
-- know_from: min_window = 30d of window_s: Before that nobody knows.
-- warn_from: many = 1000 of deletes: From here on it is a warning.
"""
ALONE = parse("alone", HEADER + "SELECT 1;")
TOGETHER = parse("together", HEADER + "-- on_standbys: confirm\nSELECT 1;")
LARGE = {"size_bytes": 1e9, "window_s": 90 * 86400.0}
DAY_S = 86400.0


def row(subject: str = "index public.i", **different: Any) -> CheckRow:
    quiet: dict[str, Any] = {
        "subject": subject,
        "relation": "public.t",
        "summary": f"{subject} is idle",
        "impact": "It costs.",
        "cause": None,
        "figures": [["Size", "1 GB"], ["Nothing", None]],
        "steps": [["Drop it.", "DROP INDEX i"], [None, "SELECT 1"]],
        "measures": LARGE,
        "locked": False,
        "definition": None,
        "place": 1,
        "found": 1,
    }
    return CheckRow(**{**quiet, **different})


def reading(check: Check, *rows: CheckRow, standbys: int = 0) -> Snapshot[Any]:
    taken = SchemaReading(found={check.name: rows}, standbys=standbys)
    return snapshot(taken, "schema_checks", database="shop", interval_s=3600.0)


def facts(*, in_recovery: bool) -> Facts:
    return Facts(
        version_num=150000,
        version="15",
        database="shop",
        system_identifier=7,
        in_recovery=in_recovery,
        started_at=NOW,
        role="pgvigil",
        superuser=False,
        monitor=True,
        max_connections=100,
        reserved_connections=3,
    )


class Other:
    """Another server of the cluster, with the last of its readings."""

    def __init__(self, last: Snapshot[Any] | None, *, in_recovery: bool = True) -> None:
        self.name = "other"
        self.up = True
        self.facts = facts(in_recovery=in_recovery)
        self._last = last

    def latest(self, feed: str, database: str | None = None) -> Snapshot[Any] | None:
        assert (feed, database) == ("schema_checks", "shop")
        return self._last


def judged(
    check: Check, taken: Snapshot[Any], params: dict[str, Any] | None = None, **known: Any
) -> Judgement:
    rule = rule_of(check)
    return rule.evaluate(taken, rule.params.model_validate(params or {}), context(**known))


def levels(judgement: Judgement) -> list[Level]:
    return [finding.level for finding in judgement.findings]


# --- limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        (LARGE, [Level.INFO]),
        ({**LARGE, "size_bytes": 1e6}, []),
        ({**LARGE, "deletes": 999.0}, [Level.INFO]),
        ({**LARGE, "deletes": 1000.0}, [Level.WARNING]),
        ({**LARGE, "window_s": 29 * DAY_S}, [Level.HOLD]),
        ({**LARGE, "window_s": None}, [Level.HOLD]),
        ({"size_bytes": 1e9}, [Level.HOLD]),
        ({**LARGE, "size_bytes": 1e6, "window_s": None}, []),
    ],
)
def test_limits_let_through_hold_and_raise(measures: dict[str, float | None], expected: list[Level]) -> None:
    """What is not known for long enough begins nothing, and ends nothing either."""
    assert levels(judged(ALONE, reading(ALONE, row(measures=measures)))) == expected


def test_limits_are_keys_of_the_section() -> None:
    small = row(measures={**LARGE, "size_bytes": 2e6, "deletes": 5.0})
    given = {"min_size": "1MB", "many": 5, "min_window": "90d", "severity": "warning"}
    assert levels(judged(ALONE, reading(ALONE, small), given)) == [Level.WARNING]
    critical = {**given, "severity": "critical"}
    assert levels(judged(ALONE, reading(ALONE, small), critical)) == [Level.CRITICAL]


def test_a_row_is_told_with_what_it_has() -> None:
    (finding,) = judged(ALONE, reading(ALONE, row())).findings
    assert [(each.name, each.value) for each in finding.evidence.figures] == [
        ("Table", "public.t"),
        ("Size", "1 GB"),
    ]
    assert [(step.text, step.sql) for step in finding.steps] == [("Drop it.", "DROP INDEX i")]
    assert finding.summary == "index public.i is idle"
    assert finding.database == "shop"


def test_what_is_not_told_one_by_one_is_known_to_be_there() -> None:
    count = MOST_TOLD + 10
    rows = [row(f"index public.i{n}", place=n + 1, found=count) for n in range(count)]
    judgement = judged(ALONE, reading(ALONE, *rows))
    assert levels(judgement) == [Level.INFO] * MOST_TOLD + [Level.HOLD] * 10
    shown = [
        figure.value for figure in judgement.findings[0].evidence.figures if figure.name == "Of this kind"
    ]
    assert shown == [f"{count} in this database; the first {MOST_TOLD} are told"]
    assert judgement.scope.covers("shop", "index public.gone")


def test_of_more_than_can_be_known_none_recovers() -> None:
    judgement = judged(ALONE, reading(ALONE, row(found=MOST_KNOWN + 1)))
    assert judgement.scope.blind_to("shop", "index public.gone")
    assert "only the first 1,000 of 1,001" in judgement.scope.reason


def test_a_check_that_does_not_apply_here_says_nothing() -> None:
    judgement = judged(ALONE, snapshot(SchemaReading(), "schema_checks", database="shop"))
    assert judgement.findings == ()
    assert judgement.scope.covers("shop", "index public.i")


# --- a cluster --------------------------------------------------------------------------------------------


def test_a_standby_whose_primary_is_watched_leaves_it_to_that() -> None:
    primary = Other(None, in_recovery=False)
    here = {"facts": facts(in_recovery=True), "peers": (primary,)}
    assert judged(ALONE, reading(ALONE, row()), **here).findings == ()
    alone = {"facts": facts(in_recovery=True), "peers": ()}
    assert len(judged(ALONE, reading(ALONE, row()), **alone).findings) == 1


def cluster(last: Snapshot[Any] | None) -> dict[str, Any]:
    return {"facts": facts(in_recovery=False), "peers": (Other(last),)}


def test_what_every_server_confirms_is_told() -> None:
    known = cluster(reading(TOGETHER, row()))
    assert levels(judged(TOGETHER, reading(TOGETHER, row(), standbys=1), **known)) == [Level.INFO]


def test_what_another_server_refutes_is_not_so() -> None:
    judgement = judged(TOGETHER, reading(TOGETHER, row(), standbys=1), **cluster(reading(TOGETHER)))
    assert judgement.findings == ()
    assert judgement.scope.covers("shop", "index public.i")


def old(taken: Snapshot[Any]) -> Snapshot[Any]:
    fields = {name: getattr(taken, name) for name in taken.__slots__}
    return Snapshot(**{**fields, "taken_at": NOW - timedelta(hours=4)})


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (None, "not known on other"),
        (old(reading(TOGETHER, row())), "not known on other"),
        (old(reading(TOGETHER)), "not known on other"),
        (reading(TOGETHER, row(measures={**LARGE, "window_s": DAY_S})), "not known on other"),
        (reading(TOGETHER, row("index public.j", found=MOST_KNOWN + 1)), "not known on other"),
        (
            snapshot(SchemaReading(failed={"together": "no"}), "schema_checks", database="shop"),
            "not known on other",
        ),
    ],
    ids=["never read", "old and so", "old and not so", "too young", "cut off", "failed"],
)
def test_what_another_server_cannot_say_is_unknown(last: Snapshot[Any] | None, why: str) -> None:
    judgement = judged(TOGETHER, reading(TOGETHER, row(), standbys=1), **cluster(last))
    assert judgement.findings == ()
    assert judgement.scope.blind_to("shop", "index public.i")
    assert judgement.scope.reason == why


def test_a_standby_that_nobody_watches_makes_it_unknown() -> None:
    judgement = judged(TOGETHER, reading(TOGETHER, row(), standbys=2), **cluster(reading(TOGETHER, row())))
    assert judgement.findings == ()
    assert judgement.scope.reason == "1 connected standby not watched here"


def test_on_a_standby_alone_nobody_knows_of_the_primary() -> None:
    judgement = judged(TOGETHER, reading(TOGETHER, row()), facts=facts(in_recovery=True))
    assert judgement.findings == ()
    assert judgement.scope.reason == "this is a standby, and its primary is not watched"


def test_without_standbys_a_server_speaks_for_itself() -> None:
    alone = {"facts": facts(in_recovery=False)}
    assert levels(judged(TOGETHER, reading(TOGETHER, row()), **alone)) == [Level.INFO]


def test_the_section_of_a_check_knows_no_other_keys() -> None:
    with pytest.raises(ValueError, match="min_sise"):
        rule_of(ALONE).params.model_validate({"min_sise": "1MB"})
    assert issubclass(rule_of(ALONE).params, CheckParams)
