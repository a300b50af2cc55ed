"""Whether the server answers a real query."""

from datetime import datetime
from typing import NamedTuple

from pgvigil.model.availability import Availability
from pgvigil.plugins import Collector, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class AvailabilityRow(NamedTuple):
    started_at: datetime
    in_recovery: bool
    monitor: bool
    server_at: datetime


AVAILABILITY = Query(
    name="availability",
    row=AvailabilityRow,
    columns=(
        Column("started_at", "pg_postmaster_start_time()", "When the server was started.", "timestamp"),
        Column("in_recovery", "pg_is_in_recovery()", "Whether the server is a standby.", "flag"),
        Column(
            "monitor", "pg_has_role('pg_monitor', 'USAGE')", "Whether our role sees all sessions.", "flag"
        ),
        Column("server_at", "clock_timestamp()", "Now, by the server's clock.", "timestamp"),
    ),
    source="",
)


def read(reader: Reader) -> Availability:
    row: AvailabilityRow = reader.rows(AVAILABILITY)[0]
    return Availability(
        up=True,
        started_at=row.started_at,
        in_recovery=row.in_recovery,
        monitor=row.monitor,
        server_at=row.server_at,
    )


COLLECTOR = Collector(
    name="availability",
    summary="Asks the server for its start time: a target is up only when a query was answered.",
    lane=LaneKind.SERVER,
    interval_s=5,
    timeout_s=2,
    fixed_pace=True,
    queries=(AVAILABILITY,),
    read=read,
)
