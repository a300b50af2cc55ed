"""What the rules about archiving share: the one thing that they judge, and how much of it waits."""

from alerts.grading import counted, duration_figure
from collectors.archiver import ArchiverReading
from pgvigil.model.evidence import Figure
from pgvigil.plugins import Context
from pgvigil.trends import Trend, trend
from pgvigil.units import format_size

SUBJECT = "WAL archiving"
GROWTH_S = 1800.0  # the time that the growth is told of


def waiting_words(rows: ArchiverReading) -> str:
    """`192 files wait (3.0 GB)`."""
    files = 0 if rows.ready is None else rows.ready.files
    verb = "waits" if files == 1 else "wait"
    return f"{counted(files, 'file')} {verb} ({format_size(rows.waiting_bytes or 0)})"


def growth(context: Context, within_s: float) -> Trend | None:
    """Files that wait, per second."""
    return trend(context.history("ready"), within_s)


def figures(rows: ArchiverReading, context: Context) -> tuple[Figure, ...]:
    """How much waits, since when, and whether it grows; nothing where the role may not list it."""
    if rows.ready is None:
        return ()
    slope = growth(context, GROWTH_S)
    per_hour = None if slope is None else slope.per_s * 3600 * rows.archiver.segment_bytes
    return (
        Figure("Waiting", f"{counted(rows.ready.files, 'file')}, {format_size(rows.waiting_bytes or 0)}"),
        duration_figure("The first has waited", rows.ready.oldest_s),
        *(() if per_hour is None else (Figure("Growth", _rate(per_hour)),)),
    )


def _rate(bytes_per_hour: float) -> str:
    return f"{'-' if bytes_per_hour < 0 else ''}{format_size(abs(bytes_per_hour))} per hour"
