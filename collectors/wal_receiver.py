"""A standby's own side: what it follows, what it has received, and what it has replayed."""

from dataclasses import dataclass
from typing import NamedTuple

from collectors._positions import gap
from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Standby(NamedTuple):
    """A server in recovery. `follows`: it is set to stream from another one (None: the role may not see that).

    `replayed_age_s` is the age of the last replayed transaction: of an idle primary it grows though nothing lags.
    """

    follows: bool | None
    application: str
    slot: str
    received_position: int | None
    replayed_position: int | None
    unreplayed_bytes: int | None
    replayed_age_s: float | None
    paused: bool
    apply_delay_s: float


class Receiver(NamedTuple):
    """The process that receives. `status` is None where the role may not see it."""

    status: str | None
    sender: str | None
    received_timeline: int | None
    unreceived_bytes: int | None
    message_age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalReceiverReading:
    """`standby` is None on a primary, `receiver` where nothing is received now."""

    standby: Standby | None = None
    receiver: Receiver | None = None

    @property
    def streaming(self) -> bool:
        return self.receiver is not None and self.receiver.status == "streaming"


# The whole of primary_conninfo may hold a password: only the name that the standby gives itself leaves the server.
_APPLICATION = (
    "coalesce((SELECT trim(BOTH '''' FROM substring(setting FROM '(?:^|\\s)application_name\\s*=\\s*(\\S+)'))"
    " FROM pg_settings WHERE name = 'primary_conninfo'),"
    " nullif(current_setting('cluster_name'), ''), 'walreceiver')"
)

STANDBY = Query(
    name="wal_receiver_standby",
    row=Standby,
    columns=(
        Column(
            "follows", "(SELECT setting <> '' FROM pg_settings WHERE name = 'primary_conninfo')", unit="flag"
        ),
        Column("application", _APPLICATION, "What it calls itself when it connects."),
        Column("slot", "current_setting('primary_slot_name')", "The slot that it uses; empty for none."),
        Column(
            "received_position",
            "(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn)::int8",
            "Received up to here.",
            "bytes",
        ),
        Column(
            "replayed_position",
            "(pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::int8",
            "Replayed up to here.",
            "bytes",
        ),
        Column(
            "unreplayed_bytes",
            gap("pg_last_wal_receive_lsn()", "pg_last_wal_replay_lsn()"),
            "Received and not replayed.",
            "bytes",
        ),
        Column(
            "replayed_age_s",
            "extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8",
            "Age of the last replayed transaction.",
            "s",
        ),
        Column("paused", "pg_is_wal_replay_paused()", "Whether replay is paused, or is asked to be.", "flag"),
        Column(
            "apply_delay_s",
            "(SELECT setting::float8 / 1000 FROM pg_settings WHERE name = 'recovery_min_apply_delay')",
            "recovery_min_apply_delay.",
            "s",
        ),
    ),
    source="WHERE pg_is_in_recovery()",
)

RECEIVER = Query(
    name="wal_receiver",
    row=Receiver,
    columns=(
        Column("status", "status"),
        Column("sender", "sender_host || ':' || sender_port", "The server that it receives from."),
        Column("received_timeline", "received_tli", "Timeline of what it received last."),
        Column(
            "unreceived_bytes",
            gap("latest_end_lsn", "flushed_lsn"),
            "Not received yet.",
            "bytes",
        ),
        Column(
            "message_age_s",
            "extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8",
            "Since the sender's last message.",
            "s",
        ),
    ),
    source="FROM pg_stat_wal_receiver",
)


def read(reader: Reader) -> WalReceiverReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    standbys: tuple[Standby, ...] = reader.rows(STANDBY)
    if not standbys:
        return WalReceiverReading()
    receivers: tuple[Receiver, ...] = reader.rows(RECEIVER)
    return WalReceiverReading(standby=standbys[0], receiver=receivers[0] if receivers else None)


def _received(reading: WalReceiverReading) -> tuple[Sample, ...]:
    if reading.standby is None or reading.standby.received_position is None:
        return ()
    return (Sample("", float(reading.standby.received_position)),)


def _standby(reading: WalReceiverReading) -> tuple[WalReceiverReading, ...]:
    return () if reading.standby is None else (reading,)


COLLECTOR = Collector(
    name="wal_receiver",
    summary="What a standby receives and replays, by its own account.",
    lane=LaneKind.SERVER,
    interval_s=15.0,
    timeout_s=5.0,
    queries=(STANDBY, RECEIVER),
    read=read,
    families=(
        Family(
            name="standby_streaming",
            help="1 while a standby receives from its primary.",
            rows=_standby,
            value=lambda reading: float(reading.streaming),
        ),
        Family(
            name="standby_unreplayed_bytes",
            help="Log that a standby has received and not replayed.",
            rows=_standby,
            value=lambda reading: reading.standby.unreplayed_bytes,
        ),
        Family(
            name="standby_replay_paused",
            help="1 while the replay on a standby is paused.",
            rows=_standby,
            value=lambda reading: float(reading.standby.paused),
        ),
    ),
    series={"received": _received},
)
