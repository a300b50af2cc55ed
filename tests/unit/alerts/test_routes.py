"""Who hears of which incident."""

from dataclasses import replace

import pytest

from alerts.lifecycle import step
from alerts.routes import Recipient, Route, Router, recipients
from alerts.timers import Policy
from alerts.tracked import Seen
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.problems import Problem
from tests.unit.alerts.acting import Clock, finding


@pytest.fixture
def incident() -> Incident:
    seen = Seen(finding(rule="slow_query", level=Level.CRITICAL, database="orders"))
    labels = (("env", "prod"), ("team", "payments"), ("rule", "a label of this name"))
    outcome = step(None, seen, Policy(for_s=0, keep_firing_for_s=0), Clock().now, labels)
    assert outcome.tracked is not None
    return outcome.tracked.incident


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"severity": ("critical",)}, True),
        ({"severity": ("warning",)}, False),
        ({"severity": ("warning", "critical")}, True),
        ({"rule": ("slow_*",)}, True),
        ({"rule": ("Slow_*",)}, False),
        ({"rule": ("a label*",)}, False),
        ({"target": ("orders-prod",), "database": ("ord*",)}, True),
        ({"target": ("orders-prod",), "database": ("billing",)}, False),
        ({"team": ("payments",)}, True),
        ({"team": ("search", "ads")}, False),
        ({"region": ("*",)}, True),
        ({"region": ("eu",)}, False),
    ],
)
def test_a_route_matches_when_every_key_does(
    incident: Incident, match: dict[str, tuple[str, ...]], matches: bool
) -> None:
    assert Route(match=match, sinks=("oncall",)).matches(incident) is matches


def test_an_incident_of_the_server_itself_is_in_no_database(incident: Incident) -> None:
    server = replace(incident, database=None)
    assert not Route(match={"database": ("orders",)}, sinks=("oncall",)).matches(server)
    assert Route(match={"database": ("",)}, sinks=("oncall",)).matches(server)


def test_severity_is_exact_and_not_at_least(incident: Incident) -> None:
    route = Route(match={"severity": ("warning",)}, sinks=("low",))
    assert not route.matches(incident)


def test_an_incident_that_got_better_is_not_news_for_those_who_hear_of_warnings(incident: Incident) -> None:
    better = replace(incident, severity=Level.WARNING)
    assert not Route(match={"severity": ("warning",)}, sinks=("low",)).matches(better)


def test_the_first_match_ends_the_search_unless_it_says_continue(incident: Incident) -> None:
    first = Route(match={"severity": ("critical",)}, sinks=("oncall",), mention="<!here>", go_on=True)
    second = Route(sinks=("log", "oncall"), mention="@team")
    third = Route(sinks=("never",))
    assert recipients(incident, (first, replace(first, go_on=False))) == (Recipient("oncall", "<!here>"),)
    assert recipients(incident, (first, second, third)) == (
        Recipient("oncall", "<!here> @team"),
        Recipient("log", "@team"),
    )


def test_what_matches_no_route_goes_everywhere_and_is_reported_once(incident: Incident) -> None:
    problems: list[Problem] = []
    router = Router([Route(match={"team": ("ads",)}, sinks=("ads",))], ["ads", "oncall"], problems.append)
    assert router(incident) == (Recipient("ads", ""), Recipient("oncall", ""))
    router(incident)
    assert [problem.slug for problem in problems] == ["no-route"]
    assert "slow_query" in problems[0].sentence


def test_without_routes_everything_goes_everywhere_and_nothing_is_wrong(incident: Incident) -> None:
    problems: list[Problem] = []
    assert Router([], ["oncall"], problems.append)(incident) == (Recipient("oncall", ""),)
    assert problems == []


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ({}, False),
        ({"team": ("payments",)}, False),
        ({"severity": ("info",)}, True),
        ({"severity": ("critical",)}, False),
        ({"severity": ("*",)}, True),
        ({"rule": ("*",)}, True),
    ],
)
def test_info_is_told_only_where_a_route_asks_for_it(
    incident: Incident, match: dict[str, tuple[str, ...]], told: bool
) -> None:
    info = replace(incident, severity=Level.INFO, peak=Level.INFO)
    problems: list[Problem] = []
    router = Router([Route(match=match, sinks=("log",))], ["log", "oncall"], problems.append)
    assert router(info) == ((Recipient("log", ""),) if told else ())
    assert problems == []
    assert Router([], ["log"], problems.append)(info) == ()


def test_what_was_worse_than_info_is_followed_to_its_end(incident: Incident) -> None:
    better = replace(incident, severity=Level.INFO, peak=Level.WARNING)
    assert Router([], ["log"], [].append)(better) == (Recipient("log", ""),)
