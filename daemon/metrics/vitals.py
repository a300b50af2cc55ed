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

Labels = tuple[str, ...]
Sums = dict[tuple[str, str | None], dict[Labels, float]]  # of families that are summed, by name and database


def exported(snapshot: Snapshot[Any], collector: Collector[Any], sums: Sums) -> tuple[Exported, ...]:
    """One for each family that has a sample. `sums` is the target's, and grows by this reading."""
    by_database = collector.lane is not LaneKind.SERVER
    fixed = {"target": snapshot.target} | ({"database": snapshot.database or ""} if by_database else {})
    rendered = (_rendered(family, _values(family, snapshot, sums), fixed) for family in collector.families)
    return tuple(each for each in rendered if each is not None)


def _values(family: Family[Any], snapshot: Snapshot[Any], sums: Sums) -> dict[Labels, float]:
    now = _samples(family, snapshot.rows)
    if not family.summed:
        return now
    so_far = sums.setdefault((family.name, snapshot.database), {})
    for labels, value in now.items():
        if labels in so_far or len(so_far) < MOST_SAMPLES:
            so_far[labels] = so_far.get(labels, 0.0) + value
    return so_far


def _rendered(family: Family[Any], values: dict[Labels, float], fixed: dict[str, str]) -> Exported | None:
    counter = family.counter or family.summed
    kind = CounterMetricFamily if counter else GaugeMetricFamily
    metric = kind(f"pgvigil_{family.name}", family.help, labels=[*fixed, *family.labels])
    for labels, value in nlargest(MOST_SAMPLES, values.items(), key=lambda item: item[1]):
        metric.add_metric([*fixed.values(), *labels], value)
    header, samples = split(metric)
    return Exported(header, samples, counter) if samples else None


def _samples(family: Family[Any], rows: Any) -> dict[Labels, float]:
    """By labels: two rows of the same labels would be an error for whoever scrapes, so that they are added up."""
    found: dict[Labels, float] = {}
    for row in family.rows(rows):
        value = family.value(row)
        if value is not None:
            labels = tuple(str(of(row)) for of in family.labels.values())
            found[labels] = found.get(labels, 0.0) + float(value)
    return found
