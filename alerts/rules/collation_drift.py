"""The order of text has changed below the indexes."""

from typing import Any

from alerts.grading import counted
from alerts.rules._tables import table_block
from alerts.rules._together import SCHEMA_CHANGE
from collectors.collations import CollationsReading, Dependent, Drift, Partitioned
from pgvigil.model.evidence import Block, Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_name
from pgvigil.text import one_line
from pgvigil.units import format_size

_SHOWN = 20
_COMMANDS = 5


def evaluate(reading: Snapshot[Any] | Delta[Any], params: SeverityParams, context: Context) -> Judgement:
    rows: CollationsReading = reading.rows
    database = reading.database if isinstance(reading, Snapshot) else None
    found = (
        _finding(drift, rows, database, params, context)
        for drift in rows.drifted
        if not _told_by_primary(drift, database, context)
    )
    return Judgement(tuple(found), Scope(databases=None if database is None else frozenset({database})))


def _told_by_primary(drift: Drift, database: str | None, context: Context) -> bool:
    """On a standby the library may be another one than on its primary: silent only where both are the same."""
    if context.facts is None or not context.facts.in_recovery:
        return False
    for peer in context.peers:
        if peer.up and peer.facts is not None and not peer.facts.in_recovery:
            latest = peer.latest("collations", database)
            return latest is not None and drift in latest.rows.drifted
    return False


def _finding(
    drift: Drift, rows: CollationsReading, database: str | None, params: SeverityParams, context: Context
) -> Finding:
    indexes = [each for each in rows.indexes if drift.oid in each.collations]
    tables = [each for each in rows.partitioned if drift.oid in each.collations]
    standby = context.facts is not None and context.facts.in_recovery
    name = quote_name(drift.schema, drift.name)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject="database collation" if drift.of_database else f"collation {name}",
        level=params.level if indexes or tables else Level.INFO,
        summary=f"{_what(drift, name)} was built with version {_short(drift.recorded)}, the server has"
        f" {_short(drift.actual)}{_damage(indexes, tables)}",
        evidence=Evidence(
            impact="Text is in another order than in the indexes: lookups miss rows that are there, unique indexes let"
            " duplicates in, merges and range partitions go wrong; silently."
            if indexes or tables
            else "Nothing depends on its order yet; the server warns at every connection.",
            figures=(
                Figure("Ordered by", drift.provider),
                Figure("Recorded version", _short(drift.recorded)),
                Figure("Version now", _short(drift.actual)),
                Figure("Indexes", _counted(indexes)),
            ),
            blocks=_blocks(indexes, tables),
            cause="This standby runs on another operating system than its primary."
            if standby
            else f"An upgrade of the operating system, or a move to another, brought another version of {drift.provider}.",
        ),
        steps=_on_standby() if standby else _steps(drift, name, indexes, tables, database),
    )


def _what(drift: Drift, name: str) -> str:
    return "The database's collation" if drift.of_database else f"Collation {one_line(name, 80)}"


def _short(version: str) -> str:
    return one_line(version, 40)


def _counted(indexes: list[Dependent]) -> str:
    """All of them, unless they are more than were read."""
    more = "at least " if indexes and indexes[0].total > 200 else ""
    unique = sum(each.unique for each in indexes)
    size = format_size(sum(each.size_bytes for each in indexes))
    return f"{more}{counted(len(indexes), 'index', 'indexes')} ({size}), {unique:,} unique"


def _damage(indexes: list[Dependent], tables: list[Partitioned]) -> str:
    harmed = [f"{_counted(indexes)}"] if indexes else []
    harmed += [counted(len(tables), "range-partitioned table")] if tables else []
    return f": {' and '.join(harmed)} may be corrupt" if harmed else "; nothing depends on its order"


def _blocks(indexes: list[Dependent], tables: list[Partitioned]) -> tuple[Block, ...]:
    found = []
    if indexes:
        rows = [
            (
                quote_name(each.schema, each.name),
                each.relation,
                "yes" if each.unique else "",
                format_size(each.size_bytes),
            )
            for each in indexes
        ]
        found.append(table_block("Indexes in its order", ("index", "table", "unique", "size"), rows, _SHOWN))
    if tables:
        names = [(quote_name(each.schema, each.name),) for each in tables]
        found.append(table_block("Partitioned by its order", ("table",), names, _SHOWN))
    return tuple(found)


def _steps(
    drift: Drift, name: str, indexes: list[Dependent], tables: list[Partitioned], database: str | None
) -> tuple[Step, ...]:
    more = len(indexes) - _COMMANDS
    refresh = (
        f"ALTER DATABASE {quote_identifier(database or '')} REFRESH COLLATION VERSION"
        if drift.of_database
        else f"ALTER COLLATION {name} REFRESH VERSION"
    )
    return (
        *(
            Step(
                "Rebuild it; reads and writes go on. A unique one fails where duplicates came in: remove those first."
                if each.unique
                else "Rebuild it; reads and writes go on.",
                f"REINDEX INDEX CONCURRENTLY {quote_name(each.schema, each.name)}",
            )
            for each in indexes[:_COMMANDS]
        ),
        *((Step(f"Then the other {more:,}: they are in the message, and in `pgvigil check`."),) * (more > 0)),
        *(
            (Step("Look for rows that are in the wrong partition: their key is outside its bounds."),)
            * bool(tables)
        ),
        Step("Last of all record the new version. It mends nothing, it only ends the warning.", refresh),
    )


def _on_standby() -> tuple[Step, ...]:
    return (
        Step(
            "Do not read from it, and do not promote it: its indexes are in the primary's order, not in its own."
        ),
        Step("Rebuild the standby on the same operating system, with the same version of the library."),
    )


RULE = Rule(
    name="collation_drift",
    watches=("collations",),
    params=SeverityParams,
    evaluate=evaluate,
    together=SCHEMA_CHANGE,
    doc=RuleDoc(
        meaning="A collation has another version than when the indexes in its order were built: the C library or ICU was"
        " upgraded below the database. Those indexes may be corrupt: rows are not found, duplicates come in. It is not"
        " known to be so until they are checked, and each day makes it worse. Before PostgreSQL 15 the version of a"
        " database's own collation is not recorded, so only collations that are named can be told there.",
        magnitude="",
        why_these_defaults="A warning: the damage is real but not of tonight, and the work needs a plan. Info where no"
        " index or partition depends on the order. Hash indexes and pattern operator classes compare bytes and are left"
        " out. PostgreSQL wiki, Locale data changes; manual, ALTER COLLATION.",
        evidence="The collation with both versions, and the indexes and range-partitioned tables in its order, unique"
        " ones first.",
        what_to_do="REINDEX INDEX CONCURRENTLY each of them, unique ones first; then REFRESH VERSION, never before. A"
        " standby with another library than its primary must be rebuilt.",
        how_to_look="SELECT c.oid::regcollation, collversion, pg_collation_actual_version(c.oid) FROM pg_collation AS c"
        " WHERE collversion <> pg_collation_actual_version(c.oid)",
    ),
)
