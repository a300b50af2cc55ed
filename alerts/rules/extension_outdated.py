"""An extension has another version in a database than the server's files have."""

from typing import Any

from pydantic import Field

from alerts.rules._peers import told_by_primary
from alerts.rules._together import SCHEMA_CHANGE
from collectors.server_extensions import InstalledExtension
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_text
from pgvigil.text import one_line


class ExtensionOutdatedParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    ignore: tuple[str, ...] = Field((), description="Extensions that are meant to stay as they are.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ExtensionOutdatedParams, context: Context
) -> Judgement:
    database = reading.database if isinstance(reading, Snapshot) else None
    rows: tuple[InstalledExtension, ...] = () if told_by_primary(context) else reading.rows
    found = (
        _finding(each, database, params, context)
        for each in rows
        if each.behind and each.name not in params.ignore
    )
    return Judgement(tuple(found), Scope(databases=None if database is None else frozenset({database})))


def _finding(
    row: InstalledExtension, database: str | None, params: ExtensionOutdatedParams, context: Context
) -> Finding:
    name = quote_identifier(row.name)
    installed, offered = one_line(row.installed, 40), one_line(row.offered or "", 40)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=f"extension {name}",
        level=params.level,
        summary=f"Extension {one_line(name, 80)} is {installed} here, and the server has"
        f" {offered or 'no files of it'}",
        evidence=Evidence(
            impact="Its functions may fail when they are called, and a dump of this database cannot be restored here."
            if row.offered is None
            else "New functions and columns, and fixes in its SQL, are missing; pgvigil reads what the old one has.",
            figures=(
                Figure("In this database", installed),
                Figure("The server's files", offered or "none"),
            ),
            cause="The packages of the extension were removed, or not installed again with a new version of the server."
            if row.offered is None
            else "Packages were upgraded; each database's objects are not, until ALTER EXTENSION is run there.",
        ),
        steps=_steps(row, name),
    )


def _steps(row: InstalledExtension, name: str) -> tuple[Step, ...]:
    if row.offered is None:
        return (
            Step(
                "See what uses it; then install its package for this version of the server, or drop it.",
                "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend WHERE refclassid ="
                " 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname ="
                f" {quote_text(row.name)}) LIMIT 50",
            ),
        )
    return (
        Step(
            "See that there is a way from the one to the other; an empty path means that there is none.",
            f"SELECT * FROM pg_extension_update_paths({quote_text(row.name)}) WHERE source ="
            f" {quote_text(row.installed)} AND target = {quote_text(row.offered)}",
        ),
        Step(
            "Update it in this database. It locks what it alters, for moments; some extensions want their own procedure"
            " (PostGIS: postgis_extensions_upgrade()).",
            f"ALTER EXTENSION {name} UPDATE",
        ),
    )


RULE = Rule(
    name="extension_outdated",
    watches=("server_extensions",),
    params=ExtensionOutdatedParams,
    evaluate=evaluate,
    together=SCHEMA_CHANGE,
    doc=RuleDoc(
        meaning="An extension's objects in a database are of another version than its files on the server. After an"
        " upgrade of packages or of the server nobody runs ALTER EXTENSION UPDATE by itself. Or its files are gone.",
        magnitude="",
        why_these_defaults="Info: what is installed goes on working. check_pgactivity (extensions_versions) warns of it;"
        " it is no matter of tonight.",
        evidence="The extension, its version in the database and that of the server's files.",
        what_to_do="ALTER EXTENSION ... UPDATE in each database, after the release notes of the extension.",
        how_to_look="SELECT name, installed_version, default_version FROM pg_available_extensions WHERE"
        " installed_version <> default_version",
    ),
)
