"""From what was read to what people must change: the functions that daemon and doctor share."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from alerts.bound import BoundRule
from collectors.settings import Extension, Role, Setting, SettingsReading
from daemon.doctor.clocks import clock_skew
from daemon.doctor.privileges import connection_limit_small, refused
from daemon.doctor.rules import blind_rules
from daemon.doctor.server import settings_problems
from daemon.doctor.statements import (
    Churn,
    extension_missing,
    extension_problems,
    max_small,
    next_steps,
    room,
    texts_lost,
    texts_unreadable,
)
from daemon.doctor.store import file_system, store_on_network
from daemon.doctor.target import Diagnosis
from pgvigil import registry
from pgvigil.model.availability import Availability
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.snapshot import Snapshot
from pgvigil.problems import Problem
from pgvigil.statements import StatementsInfo

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = {
    "compute_query_id": "auto",
    "pg_stat_statements.max": "5000",
    "pg_stat_statements.track": "top",
    "shared_preload_libraries": "auto_explain, pg_stat_statements",
    "track_activities": "on",
    "track_activity_query_size": "4096",
    "track_counts": "on",
    "track_io_timing": "on",
}


def reading(*gone: str, **changed: str) -> SettingsReading:
    """A server that is set up well, but for what is named."""
    values = {name: value for name, value in (WELL | changed).items() if name not in gone}
    return SettingsReading(
        settings={name: Setting(name, value, False) for name, value in values.items()},
        extensions={"pg_stat_statements": Extension("pg_stat_statements", "1.12", "1.12")},
        role=Role("pgvigil", 5),
    )


def of_settings(read: SettingsReading) -> list[Problem]:
    return [*settings_problems("shop", read.settings), *extension_problems("shop", read)]


def test_a_server_that_is_set_up_well_has_no_problem() -> None:
    assert of_settings(reading()) == []


@pytest.mark.parametrize(
    ("setting", "value", "slug", "fix"),
    [
        (
            "track_io_timing",
            "off",
            "track-io-timing-off",
            "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();",
        ),
        (
            "track_activity_query_size",
            "1024",
            "track-activity-query-size-small",
            "ALTER SYSTEM SET track_activity_query_size = '4kB'; -- takes effect when the server is restarted",
        ),
        (
            "compute_query_id",
            "off",
            "compute-query-id-off",
            "ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();",
        ),
        (
            "track_activities",
            "off",
            "track-activities-off",
            "ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf();",
        ),
        (
            "track_counts",
            "off",
            "track-counts-off",
            "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
        ),
        (
            "pg_stat_statements.track",
            "none",
            "statements-not-tracked",
            "ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();",
        ),
    ],
)
def test_a_setting_that_hides_something_is_named_with_the_command_that_mends_it(
    setting: str, value: str, slug: str, fix: str
) -> None:
    [problem] = of_settings(reading(**{setting: value}))
    assert (problem.slug, problem.fix, problem.target) == (slug, fix, "shop")
    assert setting in problem.sentence
    assert problem.sentence.startswith("shop: ")


def test_a_setting_that_the_role_may_not_see_is_not_judged() -> None:
    assert of_settings(reading("track_io_timing", "shared_preload_libraries")) == []


def test_a_change_that_waits_for_a_restart_is_not_asked_for_again() -> None:
    small = Setting("track_activity_query_size", "1024", True)
    [problem] = settings_problems("shop", {small.name: small})
    assert problem.fix == "Restart the server: a change of track_activity_query_size waits for it."


def test_a_library_that_is_not_loaded_is_added_to_the_others() -> None:
    """Each name in quotes of its own: in one pair, ALTER SYSTEM would write the name of one library."""
    gone = ("pg_stat_statements.max", "pg_stat_statements.track")
    [problem] = of_settings(reading(*gone, shared_preload_libraries="auto_explain, pg_cron"))
    assert problem.slug == "extension-not-preloaded"
    assert problem.fix.startswith(
        "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'pg_cron', 'pg_stat_statements';"
    )


def test_an_extension_that_is_older_than_the_server_offers() -> None:
    old = replace(
        reading(), extensions={"pg_stat_statements": Extension("pg_stat_statements", "1.12", "1.9")}
    )
    [problem] = of_settings(old)
    assert (problem.slug, problem.fix) == ("extension-outdated", "ALTER EXTENSION pg_stat_statements UPDATE;")
    assert "1.9" in problem.sentence
    assert "1.12" in problem.sentence


def test_the_way_to_a_missing_extension_is_as_long_as_it_is() -> None:
    def fix(read: SettingsReading) -> str:
        return extension_missing("shop", "pg_stat_statements", "statements", read).fix

    unloaded = reading("pg_stat_statements.max")
    assert fix(reading()) == "CREATE EXTENSION pg_stat_statements; -- in one watched database"
    assert "extension-not-preloaded" in fix(unloaded)
    assert "contrib package" in fix(replace(unloaded, extensions={}))


def test_of_library_and_extension_the_next_step_alone_is_told() -> None:
    """A server does not start with a library that is not installed."""

    def steps(read: SettingsReading) -> list[Problem]:
        missing = extension_missing("shop", "pg_stat_statements", "statements", read)
        found = {problem.slug: problem for problem in (missing, *extension_problems("shop", read))}
        return [*next_steps(found, read).values()]

    unloaded = reading("pg_stat_statements.max")
    [preload] = steps(unloaded)
    assert preload.slug == "extension-not-preloaded"
    assert "Once the server has it: CREATE EXTENSION pg_stat_statements;" in preload.why
    [install] = steps(replace(unloaded, extensions={}))
    assert "contrib package" in install.fix
    assert [problem.slug for problem in steps(reading())] == ["extension-missing"]


# --- churn ------------------------------------------------------------------------------------------------


def info(minutes: float, dealloc: int | None, reset: datetime = NOON - timedelta(hours=10)) -> StatementsInfo:
    at = NOON + timedelta(minutes=minutes)
    return StatementsInfo(dealloc, reset, NOON - timedelta(days=1), False, at)


def test_one_look_tells_the_rate_since_the_statistics_began() -> None:
    assert Churn().per_h(info(0, 40)) == pytest.approx(4.0)


def test_a_short_time_is_no_ground_for_a_forecast() -> None:
    assert Churn().per_h(info(0, 3, reset=NOON - timedelta(minutes=1))) == pytest.approx(3.0)


def test_many_looks_tell_the_rate_of_the_last_hour() -> None:
    churn = Churn()
    rates = [churn.per_h(info(minute, 1000 + minute // 6)) for minute in range(121)]
    assert rates[-1] == pytest.approx(10.0)


def test_a_churn_that_has_ended_is_forgotten_within_the_hour() -> None:
    churn = Churn()
    rates = [churn.per_h(info(minute, 1000)) for minute in range(61)]
    assert rates[0] is not None
    assert rates[0] > 50
    assert rates[-1] == 0.0


def test_a_reset_begins_anew() -> None:
    churn = Churn()
    for minute in range(30):
        churn.per_h(info(minute, 1000 + minute))
    after = NOON + timedelta(minutes=30)
    assert churn.per_h(info(31, 0, reset=after)) == 0.0


def test_before_postgresql_14_nobody_can_tell() -> None:
    assert Churn().per_h(info(0, None)) is None


@pytest.mark.parametrize(
    ("most", "evictions_per_h", "evicted", "recommended"),
    [
        (100, 20, 200, 5_000),
        (5_000, 4, 1_000, 10_000),
        (5_000, 60, 15_000, 20_000),
        (20_000, 200, 200_000, 50_000),
    ],
)
def test_the_recommended_room_holds_what_an_hour_evicts(
    most: int, evictions_per_h: float, evicted: float, recommended: int
) -> None:
    assert room(most, evictions_per_h) == (evicted, recommended)


def test_where_no_size_would_do_the_application_is_to_change() -> None:
    problem = max_small("shop", reading(**{"pg_stat_statements.max": "50000"}), 30.0)
    assert problem is not None
    assert "Have the application use parameters" in problem.fix


def test_an_eviction_now_and_then_is_no_problem() -> None:
    assert max_small("shop", reading(), 0.9) is None
    problem = max_small("shop", reading(), 4.0)
    assert problem is not None
    assert "is 5000, and 1,000 entries an hour" in problem.sentence
    assert problem.fix.startswith("ALTER SYSTEM SET pg_stat_statements.max = 10000;")


# --- texts ------------------------------------------------------------------------------------------------


def test_only_what_reading_again_will_not_mend_makes_texts_unreadable() -> None:
    slow = Failure(FailureKind.TIMEOUT, "canceling statement due to statement timeout", "57014")
    foreign = Failure(FailureKind.SQL, "character with byte sequence 0xe2 0x82 0xac ...", "22P05")
    assert texts_unreadable("shop", slow) is None
    problem = texts_unreadable("shop", foreign)
    assert problem is not None
    assert "UTF8" in problem.fix


def test_a_few_entries_without_text_are_none() -> None:
    assert texts_lost("shop", 100, 90) is None
    assert texts_lost("shop", 0, 0) is None
    problem = texts_lost("shop", 100, 3)
    assert problem is not None
    assert "97 of 100" in problem.sentence


# --- clocks -----------------------------------------------------------------------------------------------


def answered(ahead_s: float, round_trip_s: float) -> Snapshot[Availability]:
    """The server answered in the middle of the round trip, by a clock that is so far ahead."""
    server_at = NOON - timedelta(seconds=round_trip_s / 2) + timedelta(seconds=ahead_s)
    return Snapshot(
        target="shop",
        collector="availability",
        database=None,
        taken_at=NOON,
        mono_s=0.0,
        duration_s=round_trip_s,
        interval_s=5.0,
        rows=Availability(up=True, server_at=server_at),
    )


@pytest.mark.parametrize(
    ("ahead_s", "round_trip_s", "said"),
    [
        (0.0, 0.1, None),
        (1.9, 0.0, None),
        (37.0, 0.1, "37s ahead of"),
        (-37.0, 0.1, "37s behind"),
        (3.0, 4.0, None),  # a slow answer proves nothing
        (-90.0, 4.0, "1m28s behind"),  # as much as is sure
    ],
)
def test_a_clock_is_wrong_by_what_the_round_trip_cannot_explain(
    ahead_s: float, round_trip_s: float, said: str | None
) -> None:
    problem = clock_skew("shop", answered(ahead_s, round_trip_s))
    if said is None:
        assert problem is None
    else:
        assert problem is not None
        assert said in problem.sentence


# --- the store --------------------------------------------------------------------------------------------

MOUNTED = (("/", "ext4"), ("/mnt", "nfs4"), ("/mnt/disk", "xfs"), ("/over", "cifs"), ("/over", "tmpfs"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/pgvigil.db", "ext4"),
        ("/mnt/pgvigil.db", "nfs4"),
        ("/mnt/disk/pgvigil.db", "xfs"),
        ("/mnted/pgvigil.db", "ext4"),
        ("/over/pgvigil.db", "tmpfs"),
    ],
)
def test_a_path_is_on_the_deepest_mount_above_it_and_the_latest(path: str, kind: str) -> None:
    assert file_system(PurePosixPath(path), MOUNTED) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "smbfs", "ceph"])
def test_a_store_on_a_network_is_a_problem(kind: str) -> None:
    problem = store_on_network(Path("/data/pgvigil.db"), [("/", "ext4"), ("/data", kind)])
    assert problem is not None
    assert f"({kind})" in problem.sentence


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "apfs", "overlay", "tmpfs", "fuseblk", ""])
def test_a_store_on_a_disk_of_this_machine_is_none(kind: str) -> None:
    assert store_on_network(Path("/data/pgvigil.db"), [("/", kind)]) is None


# --- roles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "wrong"), [(-1, False), (3, False), (2, True), (0, True)])
def test_a_role_needs_a_connection_for_each_lane(limit: int, wrong: bool) -> None:
    problem = connection_limit_small("shop", Role("Watch dog", limit))
    assert (problem is not None) == wrong
    if problem is not None:
        assert problem.fix == 'ALTER ROLE "Watch dog" CONNECTION LIMIT 5;'


def test_a_refused_connection_says_what_to_grant() -> None:
    closed = Failure(FailureKind.PRIVILEGE, 'db1:5432: permission denied for database "Shop"')
    problem = refused("shop", closed, "pgvigil")
    assert problem is not None
    assert problem.fix == 'GRANT CONNECT ON DATABASE "Shop" TO pgvigil;'
    used_up = Failure(FailureKind.TOO_MANY_CONNECTIONS, 'db1:5432: too many connections for role "pgvigil"')
    problem = refused("shop", used_up, "")
    assert problem is not None
    assert problem.slug == "connection-limit-small"
    assert refused("shop", Failure(FailureKind.REFUSED, "db1:5432: Connection refused"), "pgvigil") is None


# --- rules ------------------------------------------------------------------------------------------------


def rules() -> Mapping[str, BoundRule]:
    return {name: BoundRule(rule, None) for name, rule in registry.rules().items() if rule.watches}


def blind(slug: str, **unread: Problem) -> list[str]:
    problems = [Problem(slug=slug, sentence="", fix="Mend it.")] if slug else []
    return [*blind_rules(rules(), unread, problems).values()]


def test_a_rule_cannot_fire_without_its_reading_and_the_others_can() -> None:
    missing = extension_missing("shop", "pg_stat_statements", "statements")
    assert blind("", statements=missing) == [
        "Meanwhile slow_query, statement_evictions cannot fire, and their silence means nothing."
    ]


def test_what_counts_sessions_goes_on_where_their_states_are_hidden() -> None:
    [sentence] = blind("not-pg-monitor")
    assert "blocking_chain, idle_in_transaction" in sentence
    assert "connection_saturation" not in sentence
    assert "target_down" not in sentence
    assert "see only the role's own sessions" in sentence


def test_what_stops_a_reading_is_named_before_what_hides_a_part_of_it() -> None:
    stopped = Problem(slug="statements-not-tracked", sentence="", fix="Track them.")
    hidden = Problem(slug="not-pg-monitor", sentence="", fix="Grant it.")
    found = blind_rules(rules(), {}, [hidden, stopped])
    assert "slow_query, statement_evictions cannot fire" in found[stopped]


def test_nothing_is_known_of_what_was_never_read() -> None:
    assert Diagnosis("shop").problems(rules()) == {}
