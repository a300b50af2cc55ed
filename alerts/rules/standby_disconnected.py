"""A standby does not receive from its primary."""

from dataclasses import replace
from typing import Any

from pydantic import Field

from alerts.rules import _dormant
from alerts.rules._replication import fresh, target_of_primary
from collectors.cluster import ClusterReading
from collectors.wal_receiver import Standby, WalReceiverReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.text import one_line
from pgvigil.units import DurationS, format_duration, format_size


class StandbyDisconnectedParams(SeverityParams):
    for_s: DurationS = Field(120.0, alias="for", description="How long it must hold before it fires.")
    silent_s: DurationS = Field(
        180.0, alias="silent", description="A connection over which nothing came for this long is none."
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: StandbyDisconnectedParams, context: Context
) -> Judgement:
    rows: WalReceiverReading = reading.rows
    if rows.standby is None or not rows.standby.follows:
        return Judgement((), Scope())  # a primary, or fed by an archive alone
    if rows.receiver is not None and rows.receiver.status is None:
        return Judgement((), replace(NOTHING, reason="the role may not see the receiver"))
    why = _trouble(rows, _silence_s(params, context))
    return Judgement((_finding(rows.standby, rows, why, params, context),) if why else (), Scope())


def _silence_s(params: StandbyDisconnectedParams, context: Context) -> float | None:
    """From when on silence is trouble: after half of wal_receiver_timeout the standby asks for a sign of life, and
    where that is 0 it never does, so that an idle primary is silent for hours.
    """
    timeout_ms = float((context.facts.settings if context.facts else {}).get("wal_receiver_timeout", 60_000))
    return max(params.silent_s, timeout_ms / 1000) if timeout_ms else None


def _trouble(rows: WalReceiverReading, silence_s: float | None) -> str:
    receiver = rows.receiver
    if receiver is None:
        return "nothing receives"
    if silence_s is not None and receiver.message_age_s is not None and receiver.message_age_s >= silence_s:
        return f"the sender has been silent for {format_duration(receiver.message_age_s)}"
    return "" if rows.streaming else f"the receiver is {one_line(receiver.status or '', 20)}"


def _finding(
    standby: Standby, rows: WalReceiverReading, why: str, params: StandbyDisconnectedParams, context: Context
) -> Finding:
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="upstream",
        level=params.level,
        summary=f"This standby does not stream from its primary: {why}{_behind(standby, context)}",
        evidence=Evidence(
            impact="What is committed on the primary does not come here; reads are old, and a failover would lose it.",
            figures=(
                Figure("Calls itself", one_line(standby.application, 60)),
                *((Figure("Slot", one_line(standby.slot, 60)),) if standby.slot else ()),
                *_sender(rows),
                *_age(standby),
            ),
            cause="The primary is down or refuses the connection; the network; the slot is lost or dropped; or the log that"
            " it needs was removed. Its log says which.",
        ),
        steps=(
            Step(
                "See what it received last, and from whom.",
                "SELECT status, sender_host, sender_port, slot_name, flushed_lsn, last_msg_receipt_time"
                " FROM pg_stat_wal_receiver",
            ),
            Step(
                'Read its log: "requested WAL segment has already been removed" means that it must be made anew.'
            ),
            Step(
                "On the primary: see whether its slot is still usable.",
                "SELECT slot_name, active, wal_status, restart_lsn FROM pg_replication_slots",
            ),
        ),
        about=target_of_primary(context),
    )


def _behind(standby: Standby, context: Context) -> str:
    """How far, where the primary is watched too."""
    for peer in context.peers:
        cluster: ClusterReading | None = fresh(peer, "cluster", context.now)
        if cluster is None or cluster.in_recovery or None in (cluster.position, standby.received_position):
            continue
        return f"; {format_size(max(0, (cluster.position or 0) - (standby.received_position or 0)))} behind {peer.name}"
    return ""


def _sender(rows: WalReceiverReading) -> tuple[Figure, ...]:
    sender = None if rows.receiver is None else rows.receiver.sender
    return () if sender is None else (Figure("Sender", one_line(sender, 120)),)


def _age(standby: Standby) -> tuple[Figure, ...]:
    if standby.replayed_age_s is None:
        return ()
    return (Figure("Last transaction here", f"{format_duration(standby.replayed_age_s)} ago"),)


RULE = Rule(
    name="standby_disconnected",
    watches=("wal_receiver",),
    params=StandbyDisconnectedParams,
    evaluate=evaluate,
    dormant=_dormant.follows_nobody,
    doc=RuleDoc(
        meaning="A standby that is set to stream (primary_conninfo) does not: no receiver runs, or nothing came for long."
        " It serves reads all the same, older by the minute. A standby that is fed by an archive alone is not judged.",
        magnitude="",
        why_these_defaults="Two minutes pass over a restart of the primary and over the few seconds between two attempts"
        " (wal_retrieve_retry_interval is 5 s). After half of wal_receiver_timeout (60 s by default) a standby asks its"
        " sender for a sign of life, so three minutes of silence are a dead line; a longer timeout counts instead, and"
        " where it is 0 nobody asks, and silence says nothing. A warning, because the primary works; pganalyze and pgEdge call it critical.",
        evidence="What it calls itself, its slot, the sender, how far it is behind where the primary is watched, and the"
        " age of the last transaction.",
        what_to_do="Read the standby's log. Refused: pg_hba.conf, password, the primary itself. Slot lost or log removed:"
        " restore_command may still have it; else make the standby anew.",
        how_to_look="SELECT * FROM pg_stat_wal_receiver; SELECT pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()",
    ),
)
