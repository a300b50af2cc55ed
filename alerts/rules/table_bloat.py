"""A table is much larger than its rows need."""

from typing import Any

from alerts.rules import _bloat
from alerts.rules._bloat import BloatParams
from collectors.bloat import Bloat
from pgvigil.model.evidence import Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_regclass


class TableBloatParams(BloatParams):
    pass


def evaluate(reading: Snapshot[Any] | Delta[Any], params: TableBloatParams, context: Context) -> Judgement:
    return _bloat.judge(RULE.name, reading, params, context, indexes=False, describe=_describe)


def _describe(bloat: Bloat) -> tuple[str, str, tuple[Step, ...]]:
    name = quote_regclass(bloat.candidate.schema, bloat.candidate.name)
    return (
        "Every scan of the whole table reads it, and backups and caches hold it. New rows will use the space again.",
        "Many rows were deleted or updated at once, or vacuum could not keep up for a time.",
        (
            Step(
                "Measure it, where the extension pgstattuple is installed: it reads what vacuum has not marked as all"
                " visible.",
                f"SELECT * FROM pgstattuple_approx({name}::regclass)",
            ),
            Step("If the table will grow again soon, leave it: it grows into its own space."),
            Step(
                "To give the space back while work goes on: pg_repack or pg_squeeze. VACUUM FULL locks out reads and"
                " writes for as long as it copies the table, and needs as much disk space again.",
            ),
        ),
    )


RULE = Rule(
    name="table_bloat",
    watches=("bloat",),
    params=TableBloatParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="The table takes much more space than its rows need at its fill factor. Rows that are dead and not yet"
        " vacuumed are not counted: dead_tuples tells of those. TOAST and the system catalogues are not judged.",
        magnitude="estimated part of the table's size that its rows do not need, as a percentage",
        why_these_defaults="Half, and 1 GB, together: a table that is twice its size is worth a rebuild when that frees"
        " something. (Other tools: 80 % and 200 MB, 70 % and 200 MB.) From 256 MB on it is info. The estimate"
        " assumes the larger need where something is not known. Statistics that are hidden from the role, missing"
        " or older than 30 % of the rows make a table not covered; tables whose columns all have a fixed width need"
        " none.",
        evidence="Size, what the rows need, rows and fill factor as the catalogue has them.",
        what_to_do="Find out why: an old snapshot, a vacuum that did not come, one large DELETE. Rebuild it with"
        " pg_repack or pg_squeeze, or let it grow into its space.",
        how_to_look="""\
SELECT oid::regclass AS table, pg_size_pretty(relpages::bigint * current_setting('block_size')::bigint) AS size,
       reltuples::bigint AS rows, round(relpages::numeric * 8192 / nullif(reltuples::numeric, 0)) AS bytes_a_row
FROM pg_class
WHERE relkind IN ('r', 'm')
ORDER BY relpages DESC
LIMIT 20""",
    ),
)
