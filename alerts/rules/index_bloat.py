"""An index is much larger than its entries need."""

from typing import Any

from alerts.rules import _bloat
from alerts.rules._bloat import BloatParams
from collectors.bloat import Bloat
from pgvigil.model.evidence import Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_name, quote_text
from pgvigil.text import one_line


class IndexBloatParams(BloatParams):
    pass


def evaluate(reading: Snapshot[Any] | Delta[Any], params: IndexBloatParams, context: Context) -> Judgement:
    return _bloat.judge(RULE.name, reading, params, context, indexes=True, describe=_describe)


def _describe(bloat: Bloat) -> tuple[str, str, tuple[Step, ...]]:
    table = one_line(quote_name(bloat.candidate.relation_schema, bloat.candidate.relation), 80)
    return (
        f"Fewer of the entries of {table} fit into memory, and scans of the index read more pages.",
        "Rows were deleted or updated in many places at once: a B-tree frees only pages that are empty altogether.",
        (
            Step(
                "Measure it, where the extension pgstattuple is installed: it reads the whole index. A sound one has an"
                " avg_leaf_density near the fill factor.",
                f"SELECT index_size, avg_leaf_density FROM pgstatindex({quote_text(bloat.shown)}::regclass)",
            ),
            Step(
                "Rebuild it: reads and writes go on; it needs as much disk space again, and time. Should it be"
                " interrupted, invalid_index tells what it left behind.",
                f"REINDEX INDEX CONCURRENTLY {bloat.shown}",
            ),
        ),
    )


RULE = Rule(
    name="index_bloat",
    watches=("bloat",),
    params=IndexBloatParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A B-tree index takes much more space than its entries need. Other kinds of index, and those of the system"
        " catalogues, are not judged.",
        magnitude="estimated part of the index's size that its entries do not need, as a percentage",
        why_these_defaults="A B-tree that is filled in random order settles at two thirds full, which is a quarter of"
        " this estimate: ordinary. Half, and 1 GB, together are worth a rebuild, which stops nobody; from 256 MB on"
        " it is info. (Other tools: 80 % and 100 MB, 50 %.) Entries with equal keys take less than assumed"
        " (deduplication, 13+), so such an index is judged too mildly, never too harshly. Statistics that are"
        " hidden from the role, missing or too old make an index not covered; one on columns of fixed width"
        " (numbers, times, uuid) needs none.",
        evidence="Size, what the entries need, entries and fill factor as the catalogue has them.",
        what_to_do="REINDEX INDEX CONCURRENTLY, when the server is not at its busiest.",
        how_to_look="""\
SELECT oid::regclass AS index, pg_size_pretty(relpages::bigint * current_setting('block_size')::bigint) AS size,
       reltuples::bigint AS entries, round(relpages::numeric * 8192 / nullif(reltuples::numeric, 0)) AS bytes_an_entry
FROM pg_class
WHERE relkind = 'i'
ORDER BY relpages DESC
LIMIT 20""",
    ),
)
