"""Whether the server answers a real query."""

from datetime import datetime
from typing import NamedTuple

from pgvigil.model.availability import Availability
from pgvigil.model.kind import TargetKind
from pgvigil.plugins import Collector, LaneKind, Reader
from pgvigil.postgres.console import VERSION
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
    """A pooler tells neither when it was started nor what its clock says."""
    if reader.facts.kind is TargetKind.PGBOUNCER:
        reader.rows(VERSION)
        return Availability(up=True, in_recovery=False, monitor=True)
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
    kind=None,
    queries=(AVAILABILITY, VERSION),
    read=read,
)
