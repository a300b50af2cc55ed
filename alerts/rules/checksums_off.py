"""Pages carry no checksums: nobody notices when a disk damages one."""

from typing import Any

from pydantic import Field

from alerts.rules._storage import foreign_storage
from collectors.settings import SettingsReading
from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams


class ChecksumsOffParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )


def evaluate(reading: Snapshot[Any] | Delta[Any], params: ChecksumsOffParams, context: Context) -> Judgement:
    rows: SettingsReading = reading.rows
    setting = rows.settings.get("data_checksums")
    if setting is None:
        return Judgement((), NOTHING)
    if setting.value != "off" or foreign_storage(rows, context):
        return Judgement((), Scope())
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="data checksums",
        level=params.level,
        summary="Data checksums are off: damage by a disk, its controller or memory goes unnoticed",
        evidence=Evidence(
            impact="A damaged page is read as if it were good, replicated by base backups and kept in every backup; it"
            " shows as wrong results or as errors long after the last sound backup is gone.",
            cause="The cluster was made by initdb without --data-checksums, the default before PostgreSQL 18.",
        ),
        steps=_STEPS,
    )
    return Judgement((finding,), Scope())


_STEPS = (
    Step(
        "Enable them with pg_checksums while the server is stopped; it reads and rewrites every page. With standbys the"
        " manual advises to stop all servers of the cluster and to enable them on each. One after the other (a standby,"
        " switch over, the rest) keeps the service up, but nothing may copy blocks between them meanwhile: no pg_rewind."
    ),
    Step("Until then a base backup cannot verify pages; restore drills and amcheck find some of the damage."),
)

RULE = Rule(
    name="checksums_off",
    watches=("settings",),
    params=ChecksumsOffParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="The cluster was made without data checksums. Damage that storage does to a page is not noticed when the"
        " page is read, and no backup tool can tell a good page from a bad one.",
        magnitude="",
        why_these_defaults="Info: nothing is broken, and enabling them needs a stop of the server. Checksums are the"
        " default since PostgreSQL 18 (initdb, release notes of 18); they cost a few per cent of CPU.",
        evidence="That they are off.",
        what_to_do="pg_checksums --enable on the stopped server. With standbys on all of them, stopped together or one after"
        " the other, and without pg_rewind until all have it (PostgreSQL manual, pg_checksums, Notes).",
        how_to_look="SHOW data_checksums",
    ),
)
