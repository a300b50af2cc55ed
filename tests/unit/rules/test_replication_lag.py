"""replication_lag by hand-made readings: what is intended, what is not known, what only looks like a lag."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from alerts.rules.replica_missing import RULE as MISSING
from alerts.rules.replication_lag import RULE
from collectors.replication import Replica, ReplicationReading
from collectors.wal_receiver import Receiver, Standby, WalReceiverReading
from pgvigil.model.change import Change
from pgvigil.model.finding import Judgement
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from tests.support.readings import NOW, context, snapshot

MB = 1024**2
REPLICA = Replica(
    pid=1,
    application="berlin",
    client="10.0.0.2",
    state="streaming",
    sync_state="async",
    slot="berlin_slot",
    kind="physical",
    unsent_bytes=0,
    unflushed_bytes=0,
    unreplayed_bytes=100 * MB,
    behind_bytes=100 * MB,
    replay_position=900 * MB,
    write_lag_s=0.1,
    flush_lag_s=0.1,
    replay_lag_s=0.1,
)
STANDBY = Standby(True, "berlin", "berlin_slot", 1000 * MB, 900 * MB, 100 * MB, 9000.0, False, 0.0)
LOG = ((600, 800 * MB), (400, 950 * MB), (0, 1000 * MB))  # seconds ago, position: beyond 900 MB for 400 s


@dataclass(frozen=True)
class Watched:
    """The standby as another target."""

    standby: Standby
    name: str = "berlin-db"
    up: bool = True
    facts: None = None
    receiver: Receiver | None = field(default=None)

    def latest(self, feed: str, _database: str | None = None) -> Any:
        reading = WalReceiverReading(standby=self.standby, receiver=self.receiver)
        return snapshot(reading, feed) if feed == "wal_receiver" else None


def points(past: Sequence[tuple[float, float]]) -> tuple[Point, ...]:
    return tuple(Point(NOW - timedelta(seconds=ago_s), float(value)) for ago_s, value in past)


def judged(
    replica: Replica = REPLICA,
    *,
    past: Sequence[tuple[float, float]] = LOG,
    peers: tuple[Watched, ...] = (),
    hidden: bool = False,
    **params: Any,
) -> Judgement:
    reading = ReplicationReading(
        in_recovery=False, position=1000 * MB, replicas={replica.name: replica}, hidden=hidden
    )
    known = context(peers=peers, history=lambda _series, _key="": points(past))
    chosen = RULE.params.model_validate(params)
    return RULE.evaluate(snapshot(reading, "replication"), chosen, known)


def test_time_is_since_the_log_went_beyond_what_is_replayed() -> None:
    """The server's own replay_lag stands still while replay does."""
    (told,) = judged().findings
    assert (told.value, told.level) == (400.0, Level.CRITICAL)
    assert told.summary == "Standby berlin is 6m40s behind (100.0 MB): not replayed"


def test_a_delay_that_is_intended_is_no_lag() -> None:
    assert judged(peers=(Watched(STANDBY._replace(apply_delay_s=3600.0)),)).findings == ()
    (told,) = judged(peers=(Watched(STANDBY._replace(apply_delay_s=300.0)),)).findings
    assert (told.value, told.level) == (100.0, Level.WARNING)
    assert "5m of it intended" in told.summary


def test_a_pause_is_told_by_the_standby() -> None:
    (told,) = judged(peers=(Watched(STANDBY._replace(paused=True)),)).findings
    assert told.summary.endswith("; its replay is paused")
    assert told.steps[1].sql == "SELECT pg_wal_replay_resume()"


def test_little_is_no_trouble_until_it_does_not_move_for_long() -> None:
    little = REPLICA._replace(behind_bytes=100, unreplayed_bytes=100)
    assert judged(little).findings == ()
    (told,) = judged(little, past=((4000, 800 * MB), (2000, 950 * MB), (0, 950 * MB))).findings
    assert told.level is Level.WARNING


def test_what_replays_nothing_has_no_lag() -> None:
    assert judged(REPLICA._replace(application="pg_receivewal", replay_position=None)).findings == ()


def test_where_the_past_is_too_short_the_server_s_own_figure_counts() -> None:
    (told,) = judged(REPLICA._replace(replay_lag_s=60.0), past=((0, 1000 * MB),)).findings
    assert told.summary.startswith("Standby berlin is at least 1m behind")


def test_another_log_that_was_further_is_not_taken_for_this_one() -> None:
    """The server was restored: positions of before say nothing of how long ago this one passed."""
    assert judged(past=((90_000, 5000 * MB), (10, 950 * MB), (0, 1000 * MB))).findings == ()


def test_where_the_role_may_not_see_it_nothing_resolves() -> None:
    answer = judged(hidden=True)
    assert answer.findings == ()
    assert answer.scope.blind_to(None, "replica berlin")


def test_one_may_be_behind_by_configuration() -> None:
    assert judged(ignore=["berlin"]).findings == ()


def missing(*peers: Watched) -> Level:
    reading = ReplicationReading(in_recovery=False, position=1000 * MB, replicas={})
    left = Change(
        database=None, key="berlin", old="berlin_slot", new=None, after=NOW - timedelta(seconds=700), at=NOW
    )
    known = context(peers=peers, changes=(left,))
    (told,) = MISSING.evaluate(snapshot(reading, "replication"), MISSING.params(), known).findings
    assert told.explains == {"replica berlin", "slot berlin_slot"}
    return told.level


def test_a_missing_standby_that_tells_it_itself_is_info_at_the_primary() -> None:
    assert missing() is Level.WARNING
    assert missing(Watched(STANDBY)) is Level.INFO
