"""What the server is in its cluster: primary or standby, on which timeline, and of which cluster."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Role(NamedTuple):
    """`timeline` is that of the log being written (primary) or received (standby; None without streaming).

    `streamed`: since its start it has received log from another server, also where it is a primary by now.
    """

    in_recovery: bool
    started_at: datetime
    timeline: int | None
    position: int | None
    streamed: bool


class Control(NamedTuple):
    """Of the control file. Its timeline follows a promotion only with the next checkpoint."""

    timeline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReading:
    """`position` is in bytes from the beginning of the log: written by a primary, replayed by a standby."""

    in_recovery: bool
    started_at: datetime
    timeline: int | None
    position: int | None
    streamed: bool
    system_identifier: int | None

    @property
    def role(self) -> str:
        return "standby" if self.in_recovery else "primary"


ROLE = Query(
    name="cluster",
    row=Role,
    columns=(
        Column("in_recovery", "pg_is_in_recovery()", "Whether the server is a standby.", "flag"),
        Column("started_at", "pg_postmaster_start_time()", "When it was started.", "timestamp"),
        Column(
            "timeline",
            "CASE WHEN pg_is_in_recovery() THEN (SELECT received_tli FROM pg_stat_wal_receiver)"
            " ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int4 END",
            "Timeline of the log that it writes or receives.",
        ),
        Column(
            "position",
            "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
            " - '0/0'::pg_lsn)::int8",
            "Written or replayed up to here.",
            "bytes",
        ),
        Column(
            "streamed",
            "pg_last_wal_receive_lsn() IS NOT NULL",
            "Whether it ever received log since then.",
            "flag",
        ),
    ),
    source="",
)

CONTROL = Query(
    name="cluster_control",
    row=Control,
    columns=(Column("timeline", "timeline_id", "Timeline of the last checkpoint."),),
    source="FROM pg_control_checkpoint()",
)


def read(reader: Reader) -> ClusterReading:
    """Raises `pgvigil.postgres.errors.ReadError`. Who may not ask for the identifier is not asked for the rest either."""
    (role,) = reader.rows(ROLE)
    timeline = role.timeline
    if role.in_recovery and reader.facts.system_identifier is not None:
        (control,) = reader.rows(CONTROL)
        timeline = max(control.timeline, timeline or 0)
    return ClusterReading(
        in_recovery=role.in_recovery,
        started_at=role.started_at,
        timeline=timeline,
        position=role.position,
        streamed=role.streamed,
        system_identifier=reader.facts.system_identifier,
    )


def _journal(reading: ClusterReading) -> dict[str, str]:
    told = {"role": reading.role, "started_at": reading.started_at.isoformat()}
    if reading.timeline is not None:
        told["timeline"] = str(reading.timeline)
    if reading.system_identifier is not None:
        told["cluster"] = str(reading.system_identifier)
    return told


COLLECTOR = Collector(
    name="cluster",
    summary="Whether the server is a primary or a standby, its timeline, and the cluster that it belongs to.",
    lane=LaneKind.SERVER,
    interval_s=15.0,
    timeout_s=3.0,
    queries=(ROLE, CONTROL),
    read=read,
    families=(
        Family(
            name="cluster_in_recovery",
            help="1 on a standby, 0 on a primary.",
            rows=lambda reading: (reading,),
            value=lambda reading: float(reading.in_recovery),
        ),
        Family(
            name="cluster_timeline",
            help="Timeline of the log that the server writes or receives.",
            rows=lambda reading: (reading,),
            value=lambda reading: reading.timeline,
        ),
    ),
    journal=_journal,
)
