"""A standby, or a logical consumer, does not keep up."""

from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant
from alerts.rules._forecasts import worse
from alerts.rules._replication import Behind, behind, entities, standby_of, told_by_sender
from collectors.replication import Replica, ReplicationReading
from collectors.wal_receiver import Standby, WalReceiverReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, DurationParams, Rule, RuleDoc
from pgvigil.text import one_line
from pgvigil.units import DurationS, SizeBytes, format_duration, format_size


class ReplicationLagParams(DurationParams):
    for_s: DurationS = Field(60.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        60.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: DurationS | None = Field(30.0, description="Time that it is behind, with at least min_behind.")
    critical: DurationS | None = Field(300.0, description="Time that it is behind, with at least min_behind.")
    clear: DurationS | None = Field(10.0, description="At or below this it has recovered.")
    min_behind_bytes: SizeBytes = Field(
        16 * 1024**2,
        alias="min_behind",
        description="With less log outstanding the time alone is no trouble.",
    )
    stuck_s: DurationS = Field(
        1800.0,
        alias="stuck",
        description="Not moving for this long is a warning however little is outstanding.",
    )
    ignore: tuple[str, ...] = Field((), description="Receivers that may be behind, by name.")


class _Lag(NamedTuple):
    """`stage`: where most of it waits. `delay_s` is what is intended (recovery_min_apply_delay)."""

    seconds: float
    at_least: bool
    size_bytes: int
    stage: str
    delay_s: float
    paused: bool


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ReplicationLagParams, context: Context
) -> Judgement:
    if isinstance(reading.rows, ReplicationReading):
        return _of_replicas(reading.rows, params, context)
    return _of_standby(reading.rows, params, context)


# --- the sender's side ------------------------------------------------------------------------------------


def _of_replicas(rows: ReplicationReading, params: ReplicationLagParams, context: Context) -> Judgement:
    """Of those that are connected to a primary. Who follows a standby is judged by itself, where it is watched."""
    if rows.hidden:
        return Judgement((), replace(NOTHING, reason="the role may not see the receivers"))
    if rows.in_recovery:
        return Judgement((), NOTHING)
    judged = (each for each in rows.replicas.values() if each.name not in params.ignore)
    found = (_of_replica(replica, params, context) for replica in judged)
    return Judgement(tuple(finding for finding in found if finding is not None), Scope())


def _of_replica(replica: Replica, params: ReplicationLagParams, context: Context) -> Finding | None:
    if not replica.behind_bytes or replica.replay_position is None:
        return None
    since = behind(context.history("written"), replica.replay_position, context.now)
    known = standby_of(replica.name, replica.slot, context)
    standby = None if known is None else known[1].standby
    lag = _Lag(
        *_measured(since, replica.replay_lag_s),
        replica.behind_bytes,
        _stage(replica),
        0.0 if standby is None else standby.apply_delay_s,
        standby is not None and standby.paused,
    )
    level = _level(lag, params)
    if level is None:
        return None
    kind = "Standby" if replica.kind == "physical" else "Logical consumer"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_subject(replica.name),
        level=level,
        summary=f"{kind} {one_line(replica.name, 60)} is {_words(lag)}",
        value=_effective(lag),
        evidence=Evidence(
            impact="What is committed here is not there yet: reads on it are old, and a failover to it would wait for"
            " the log or lose what it has not received.",
            figures=(
                *_figures(lag),
                Figure("Not sent", _size(replica.unsent_bytes)),
                Figure("Sent, not flushed there", _size(replica.unflushed_bytes)),
                Figure("There, not replayed", _size(replica.unreplayed_bytes)),
                Figure("State", f"{replica.state}, {replica.sync_state}"),
            ),
            cause=_cause(lag, replica.kind),
        ),
        steps=_steps(lag, replica.kind),
        about=entities(replica),
    )


def _measured(since: Behind | None, measured_s: float | None) -> tuple[float, bool]:
    """By the remembered positions; where they do not reach back far enough, at least what the server measured."""
    if since is None:
        return 0.0, False
    if not since.at_least:
        return since.seconds, False
    return max(since.seconds, measured_s or 0.0), True


def _stage(replica: Replica) -> str:
    waiting = {
        "sent": replica.unsent_bytes or 0,
        "flushed": replica.unflushed_bytes or 0,
        "replayed": replica.unreplayed_bytes or 0,
    }
    return max(waiting, key=waiting.__getitem__)


# --- the standby's own side -------------------------------------------------------------------------------

_OWN = "this standby"


def _of_standby(rows: WalReceiverReading, params: ReplicationLagParams, context: Context) -> Judgement:
    standby = rows.standby
    if standby is None:
        return Judgement((), NOTHING)
    if told_by_sender(standby, context):
        return Judgement((), Scope())
    if standby.received_position is None or standby.replayed_position is None:
        return Judgement((), NOTHING)
    lag = _own_lag(standby, context)
    level = None if lag is None else _level(lag, params)
    if lag is None or level is None:
        return Judgement((), Scope())
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_OWN,
        level=level,
        summary=f"This standby is {_words(lag)}",
        value=_effective(lag),
        evidence=Evidence(
            impact="Reads on it are old, and a failover to it waits until it has replayed what it has.",
            figures=(
                *_figures(lag),
                Figure("Receives", "yes" if rows.streaming else "no"),
                Figure("Replay paused", "yes" if standby.paused else "no"),
            ),
            cause=_cause(lag, "physical"),
        ),
        steps=_steps(lag, "physical"),
    )
    return Judgement((finding,), Scope())


def _own_lag(standby: Standby, context: Context) -> _Lag | None:
    if not standby.unreplayed_bytes or standby.replayed_position is None:
        return None
    since = behind(context.history("received"), standby.replayed_position, context.now)
    measured = _measured(since, standby.replayed_age_s)
    return _Lag(*measured, standby.unreplayed_bytes, "replayed", standby.apply_delay_s, standby.paused)


# --- what both say ----------------------------------------------------------------------------------------


def _subject(name: str) -> str:
    return f"replica {one_line(name, 120)}"


def _effective(lag: _Lag) -> float:
    """Beyond what is intended."""
    return max(0.0, lag.seconds - lag.delay_s)


def _level(lag: _Lag, params: ReplicationLagParams) -> Level | None:
    seconds = _effective(lag)
    by_time = grade(seconds, params) if lag.size_bytes >= params.min_behind_bytes else None
    # While all that is known is "longer than I remember", one reading is no proof that it does not move.
    stuck = Level.WARNING if seconds >= params.stuck_s else None
    return worse(by_time, stuck)


def _words(lag: _Lag) -> str:
    at_least = "at least " if lag.at_least else ""
    intended = f", {format_duration(lag.delay_s)} of it intended" if lag.delay_s else ""
    paused = "; its replay is paused" if lag.paused else f": not {lag.stage}"
    return (
        f"{at_least}{format_duration(lag.seconds)} behind ({format_size(lag.size_bytes)}{intended}){paused}"
    )


def _figures(lag: _Lag) -> tuple[Figure, ...]:
    delay = (Figure("recovery_min_apply_delay", format_duration(lag.delay_s)),) if lag.delay_s else ()
    return (
        Figure("Behind", format_duration(lag.seconds)),
        Figure("Outstanding", format_size(lag.size_bytes)),
        *delay,
    )


def _size(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else format_size(size_bytes)


def _cause(lag: _Lag, kind: str) -> str:
    if lag.paused:
        return (
            "Somebody called pg_wal_replay_pause(), or a setting on the standby is lower than on the primary."
        )
    if lag.stage == "sent":
        return "The network between them is slow or stalled, or more is written than it carries; or the receiver hangs."
    if lag.stage == "flushed":
        return "The receiver's disk is slow, or the receiver hangs."
    if kind == "logical":
        return "The consumer applies or confirms slower than is written here: a large transaction, a missing index, locks."
    return (
        "Replay waits for a query on the standby (max_standby_streaming_delay), or the one process that replays is slower"
        " than the many that write."
    )


def _steps(lag: _Lag, kind: str) -> tuple[Step, ...]:
    if lag.paused:
        return (
            Step("On the standby: see whether it is paused.", "SELECT pg_is_wal_replay_paused()"),
            Step("On the standby, when nobody needs the pause: go on.", "SELECT pg_wal_replay_resume()"),
        )
    look = Step("On the sender: see where it waits.", _LOOK)
    if lag.stage == "replayed" and kind == "physical":
        return (
            look,
            Step(
                "On the standby: see which queries are long, and whether replay waits for one of them.",
                "SELECT pid, usename, now() - xact_start AS age, wait_event_type, wait_event, left(query, 80)"
                " FROM pg_stat_activity WHERE backend_type = 'startup' OR xact_start < now() - interval '1 minute'"
                " ORDER BY xact_start",
            ),
            Step(
                "If replay waits for one that may be lost, cancel it there: pg_cancel_backend(its pid). Else it catches"
                " up by itself when less is written; do not restart the standby, it would begin anew from further back."
            ),
        )
    return (look, Step("Then look at the network and at the receiver's disk and log."))


_LOOK = (
    "SELECT application_name, client_addr, state, sync_state,"
    " pg_wal_lsn_diff(pg_current_wal_lsn(), sent_lsn) AS unsent, pg_wal_lsn_diff(sent_lsn, flush_lsn) AS unflushed,"
    " pg_wal_lsn_diff(flush_lsn, replay_lsn) AS unreplayed, replay_lag FROM pg_stat_replication"
)


RULE = Rule(
    name="replication_lag",
    watches=("replication", "wal_receiver"),
    params=ReplicationLagParams,
    evaluate=evaluate,
    dormant=_dormant.no_replica,
    doc=RuleDoc(
        meaning="A standby or a logical consumer is behind: what is committed here is not there yet. Time is measured by"
        " positions in the log that pgvigil remembers, not by the stamp of the last transaction: on an idle primary"
        " nothing lags, whatever the clock says. pg_basebackup and pg_receivewal replay nothing and have no lag.",
        magnitude="time since the primary's log went beyond what is replayed, without recovery_min_apply_delay where the"
        " standby is watched as well",
        why_these_defaults="30 seconds and 5 minutes, only with 16 MB (one segment of the log) outstanding and for a minute:"
        " Pigsty's 1 s and 1 MB fire with every bulk load, and readers notice half a minute. Half an hour without any"
        " movement is a warning with any amount: a paused replay on a quiet primary. A standby that is watched is"
        " judged by its primary; by itself only where that is not watched, or where it follows another standby.",
        evidence="How much is not sent, not flushed and not replayed, the time, and whether the replay is paused.",
        what_to_do="Not sent: look at the network. Not flushed: at the standby's disk. Not replayed: at long queries on"
        " the standby, or resume a paused replay. A standby that is meant to be late has recovery_min_apply_delay;"
        " where it is not watched, name it in `ignore`.",
        how_to_look=_LOOK,
    ),
)
