"""What pgvigil saw change is named in the likely cause of what began near it, as exactly as it is known."""

from collections import defaultdict
from datetime import datetime, timedelta

import pytest

from alerts.noticed import Noticing
from pgvigil.model.change import Change
from pgvigil.model.evidence import Evidence
from pgvigil.store import Store
from tests.support.views import T0
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World

RULE = "idle_in_transaction"


class Journals:
    """Changes by feed. `ago_s` is before T0, when a change was seen; the reading before was `apart_s` earlier."""

    def __init__(self) -> None:
        self.by_feed: defaultdict[str, list[Change]] = defaultdict(list)
        self.revision = 0
        self.asked = 0
        self.noticing = Noticing(self._of, lambda: self.revision)

    def _of(self, feed: str) -> list[Change]:
        self.asked += 1
        return self.by_feed[feed]

    def add(
        self, feed: str, key: str, old: str | None, new: str | None, ago_s: float = 240, apart_s: float = 15
    ) -> None:
        at = T0 - timedelta(seconds=ago_s)
        after = at - timedelta(seconds=apart_s)
        self.by_feed[feed].append(Change(database=None, key=key, old=old, new=new, after=after, at=at))
        self.revision += 1

    def near(self, rule: str = RULE, since: datetime = T0) -> str:
        return self.noticing.near(rule, since)


@pytest.fixture
def journals() -> Journals:
    return Journals()


def test_a_setting_that_was_changed_shortly_before(journals: Journals) -> None:
    journals.add("settings", "work_mem", "64MB", "4MB")
    assert journals.near() == "First seen 4m after: work_mem was changed from 64MB to 4MB."


def test_the_rule_that_tells_it_does_not_say_it_twice(journals: Journals) -> None:
    journals.add("settings", "work_mem", "64MB", "4MB")
    assert journals.near("setting_changed") == ""


@pytest.mark.parametrize(
    ("ago_s", "apart_s", "words"),
    [
        (240, 60, "First seen 4m after: "),
        (240, 300, "First seen 4m to 9m after: "),
        (-60, 300, "At about that time, 19:56:00 to 20:01:00 UTC: "),
        (-120, 30, "2m later: "),
        (-400, 300, "6m40s later at most: "),
    ],
)
def test_when_it_was_is_told_as_exactly_as_it_is_known(
    journals: Journals, ago_s: float, apart_s: float, words: str
) -> None:
    journals.add("settings", "work_mem", "64MB", "4MB", ago_s, apart_s)
    assert journals.near() == f"{words}work_mem was changed from 64MB to 4MB."


@pytest.mark.parametrize(("ago_s", "told"), [(3599, True), (3601, False), (-3580, True), (-3620, False)])
def test_it_is_told_within_an_hour(journals: Journals, ago_s: float, told: bool) -> None:
    journals.add("settings", "work_mem", "64MB", "4MB", ago_s)
    assert bool(journals.near()) == told


def test_the_two_nearest_are_told_and_what_came_before_first(journals: Journals) -> None:
    for name, ago_s in (("work_mem", 1200), ("jit", 600), ("enable_sort", -60), ("fsync", 900)):
        journals.add("settings", name, "on", "off", ago_s)
    assert journals.near() == (
        "First seen 10m after: jit was changed from on to off. First seen 15m after: fsync was changed from on to off."
    )


def test_many_settings_at_once_are_one_deployment(journals: Journals) -> None:
    for name in ("a", "b", "c", "d"):
        journals.add("settings", name, "1", "2")
    assert journals.near() == "First seen 4m after: 4 settings were changed (a, b, c, ...)."


def test_a_setting_that_comes_with_a_library_is_no_change_and_one_of_a_role_is(journals: Journals) -> None:
    journals.add("settings", "auto_explain.log_min_duration", None, "-1")
    assert journals.near() == ""
    journals.add("settings", "work_mem of role app", None, "1GB")
    assert "work_mem of role app was changed from none to 1GB" in journals.near()


def test_another_version(journals: Journals) -> None:
    journals.add("settings", "server_version", "15.3", "15.4")
    assert journals.near().endswith("the server's version went from 15.3 to 15.4.")


def test_the_settings_of_another_machine_are_not_told_one_by_one(journals: Journals) -> None:
    journals.add("settings", "data_directory", "/a", "/b")
    journals.add("settings", "work_mem", "64MB", "4MB")
    assert journals.near().endswith("another server answers by this name, with settings of its own.")


def started(ago_s: float) -> str:
    return (T0 - timedelta(seconds=ago_s)).isoformat()


def test_a_restart(journals: Journals) -> None:
    journals.add("cluster", "started_at", started(9999), started(245))
    assert journals.near() == "First seen 4m after: the server was restarted."


def test_a_server_that_ran_before_was_not_restarted(journals: Journals) -> None:
    journals.add("cluster", "started_at", started(9999), started(5000))
    assert journals.near().endswith("another server answers by this name, which ran before.")


def test_a_journal_that_did_not_say_since_when_it_runs_tells_no_restart(journals: Journals) -> None:
    journals.add("cluster", "started_at", None, started(9999))
    assert journals.near() == ""


def test_a_failover_is_told_and_not_the_restart_that_comes_with_it(journals: Journals) -> None:
    journals.add("cluster", "role", "standby", "primary")
    journals.add("cluster", "timeline", "1", "2")
    journals.add("cluster", "started_at", started(9999), started(245))
    assert journals.near() == "First seen 4m after: the server became a primary (was a standby)."
    assert journals.near("role_changed") == ""


def test_a_timeline_alone_is_a_failover_too(journals: Journals) -> None:
    journals.add("cluster", "timeline", "1", "2")
    assert journals.near().endswith("a failover: timeline 2 was begun (was 1).")


def test_pgbouncer_and_roles(journals: Journals) -> None:
    journals.add("pgbouncer_server", "setting pool_mode", "session", "transaction")
    journals.add("roles", "app", "LOGIN", "SUPERUSER LOGIN")
    said = journals.near()
    assert "pool_mode was changed from session to transaction" in said
    assert "the powers of role app went from LOGIN to SUPERUSER LOGIN" in said


def test_hostile_names_and_values_are_cut_and_made_printable(journals: Journals) -> None:
    journals.add("settings", "a\u202eb\nc", "x" * 500, "\x00")
    said = journals.near()
    assert said.isprintable()
    assert len(said) < 250


def test_it_is_worked_out_when_something_changed_and_not_at_each_evaluation(journals: Journals) -> None:
    journals.add("settings", "work_mem", "64MB", "4MB")
    journals.near()
    asked = journals.asked
    for _ in range(100):
        journals.near()
    assert journals.asked == asked
    journals.add("settings", "jit", "on", "off")
    assert "jit" in journals.near()


def test_an_incident_has_it_in_its_cause_before_the_rules_own_words(store: Store, journals: Journals) -> None:
    world = World(store)
    world.noticed = journals.near
    world.restart(0)
    at = world.clock.utc - timedelta(seconds=60)
    changed = Change(database=None, key="jit", old="on", new="off", after=at, at=at)
    journals.by_feed["settings"].append(changed)
    world.read(0, RULE, finding(RULE, evidence=Evidence(cause="The client thinks.")))
    assert world.incident(RULE).evidence.cause == (
        "First seen 1m after: jit was changed from on to off. The client thinks."
    )
