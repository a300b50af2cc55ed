"""Everyone may create objects in a schema."""

from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules._peers import told_by_primary
from collectors.security_definers import OpenSchema, SecurityDefinersReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_text
from pgvigil.text import one_line


class PublicSchemaWritableParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    ignore: tuple[str, ...] = Field((), description="Schemas that are meant to be open.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: PublicSchemaWritableParams, context: Context
) -> Judgement:
    rows: SecurityDefinersReading = reading.rows
    database = reading.database if isinstance(reading, Snapshot) else None
    schemas = () if told_by_primary(context) else rows.open_schemas
    found = (
        _finding(schema, rows, database, params, context)
        for schema in schemas
        if schema.name not in params.ignore
    )
    return Judgement(tuple(found), Scope(databases=None if database is None else frozenset({database})))


def _finding(
    schema: OpenSchema,
    rows: SecurityDefinersReading,
    database: str | None,
    params: PublicSchemaWritableParams,
    context: Context,
) -> Finding:
    name = quote_identifier(schema.name)
    definers = rows.definers[0].total if rows.definers else 0
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=f"schema {name}",
        level=params.level,
        summary=f"Everyone may create objects in schema {one_line(name, 120)}",
        evidence=Evidence(
            impact="Any role that can connect may put a function, operator or table there that others then use instead of"
            " the one they mean, with their own rights (CVE-2018-1058).",
            figures=(
                Figure("Owner", one_line(schema.owner, 80)),
                Figure("At risk", f"{counted(definers, 'SECURITY DEFINER function')} without a search_path"),
            ),
            cause="Before PostgreSQL 15 that was the default of schema public, and databases that came from there kept it.",
        ),
        steps=(
            Step(
                "See who owns what is in it: whoever made something there may need CREATE granted by name.",
                "SELECT relowner::regrole, relkind, count(*) FROM pg_class WHERE relnamespace ="
                f" (SELECT oid FROM pg_namespace WHERE nspname = {quote_text(schema.name)})"
                " GROUP BY 1, 2 ORDER BY 3 DESC",
            ),
            Step(
                "Take the right from everyone; then grant it to those who migrate.",
                f"REVOKE CREATE ON SCHEMA {name} FROM PUBLIC",
            ),
        ),
    )


RULE = Rule(
    name="public_schema_writable",
    watches=("security_definers",),
    params=PublicSchemaWritableParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="PUBLIC, which is every role, has CREATE on a schema. It is usually public, which is in everyone's"
        " search_path: a role with no other right can shadow functions and tables that others call.",
        magnitude="",
        why_these_defaults="Info: it was the default until PostgreSQL 15 and is an open door only where roles are not"
        " trusted. What makes it a way to become superuser is the other half, security_definer_search_path, which warns."
        " PostgreSQL manual, Schemas: Usage Patterns; release notes of 15.",
        evidence="The schema, its owner, and how many functions could be led astray.",
        what_to_do="REVOKE CREATE ON SCHEMA public FROM PUBLIC, and grant it to the roles that migrate.",
        how_to_look="SELECT nspname, nspacl FROM pg_namespace WHERE has_schema_privilege('public', oid, 'CREATE')",
    ),
)
