"""table_bloat: a queue that is empty by now needs nothing of its pages."""

from alerts.rules.table_bloat import RULE
from collectors.bloat import BloatReading, Candidate, estimated
from pgvigil.model.level import Level
from tests.support.readings import context, snapshot


def queue(rows: float) -> Candidate:
    return Candidate(
        oid=1,
        is_index=False,
        schema="public",
        name="queue",
        relation_schema="public",
        relation="queue",
        size_bytes=10 * 1024**3,
        rows=rows,
        dead_rows=0,
        changed_rows=0,
        fill_percent=100.0,
        block_size=8192,
        readable=True,
        attributes=["id"],
        lengths=[8],
        alignments=[8],
        own=[False],
    )


def test_a_large_table_without_any_row_is_all_bloat() -> None:
    reading = BloatReading(relations=(estimated(queue(0.0), {}),))
    judged = RULE.evaluate(snapshot(reading, "bloat", database="shop"), RULE.params(), context())
    (finding,) = judged.findings
    assert finding.level is Level.WARNING
    assert finding.summary.startswith("About 100 % of table public.queue is not needed by its rows: 10.0 GB")
