"""What a reading exports: the families that its collector declares, as text that is ready for the scrape.

Rendered where the reading is judged, once, so that a scrape of 200 targets only joins.
"""

from heapq import nlargest
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from daemon.board import Exported
from daemon.metrics.text import split
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector, Family, LaneKind

MOST_SAMPLES = 500  # of one family, target and database: the largest values are kept


def exported(snapshot: Snapshot[Any], collector: Collector[Any]) -> tuple[Exported, ...]:
    """One for each family that has a sample."""
    by_database = collector.lane is not LaneKind.SERVER
    fixed = {"target": snapshot.target} | ({"database": snapshot.database or ""} if by_database else {})
    rendered = (_rendered(family, snapshot.rows, fixed) for family in collector.families)
    return tuple(each for each in rendered if each is not None)


def _rendered(family: Family[Any], rows: Any, fixed: dict[str, str]) -> Exported | None:
    kind = CounterMetricFamily if family.counter else GaugeMetricFamily
    metric = kind(f"pgvigil_{family.name}", family.help, labels=[*fixed, *family.labels])
    for labels, value in _samples(family, rows):
        metric.add_metric([*fixed.values(), *labels], value)
    header, samples = split(metric)
    return Exported(header, samples, family.counter) if samples else None


def _samples(family: Family[Any], rows: Any) -> list[tuple[tuple[str, ...], float]]:
    """By labels: two rows of the same labels would be an error for whoever scrapes, so that they are added up."""
    found: dict[tuple[str, ...], float] = {}
    for row in family.rows(rows):
        value = family.value(row)
        if value is not None:
            labels = tuple(str(of(row)) for of in family.labels.values())
            found[labels] = found.get(labels, 0.0) + float(value)
    return nlargest(MOST_SAMPLES, found.items(), key=lambda item: item[1])
