"""A role that may log in is a superuser."""

from typing import Any

from pydantic import Field

from alerts.rules._peers import told_by_primary
from collectors.roles import Role
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_text
from pgvigil.text import one_line


class SuperuserRolesParams(SeverityParams):
    severity: str = Field(
        "info", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    expected: tuple[str, ...] = Field(
        (),
        description="Roles that are meant to be superusers, besides initdb's and those of a managed service.",
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: SuperuserRolesParams, context: Context
) -> Judgement:
    rows: tuple[Role, ...] = () if told_by_primary(context) else reading.rows
    known = {*params.expected, *(() if context.facts is None else context.facts.service_roles)}
    found = (
        _finding(role, params, context)
        for role in rows
        if role.superuser and role.login and not role.bootstrap and role.name not in known
    )
    return Judgement(tuple(found), Scope())


def _finding(role: Role, params: SuperuserRolesParams, context: Context) -> Finding:
    name = quote_identifier(role.name)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=f"role {name}",
        level=params.level,
        summary=f"Role {one_line(name, 120)} may log in and is a superuser",
        evidence=Evidence(
            impact="No privilege, row security or ownership holds for it, and it can run programs on the server: whoever"
            " has its password, or can inject SQL into its sessions, has the machine's database account.",
            figures=(Figure("Powers", role.powers), *_since(role, context)),
        ),
        steps=(
            Step(
                "See who uses it, and from where.",
                "SELECT application_name, client_addr, datname, state, backend_start FROM pg_stat_activity"
                f" WHERE usename = {quote_text(role.name)}",
            ),
            Step(
                "Give it what it needs instead: ownership, CREATEROLE, or predefined roles such as pg_monitor and"
                " pg_read_all_data; then take the power away.",
                f"ALTER ROLE {name} NOSUPERUSER",
            ),
        ),
    )


def _since(role: Role, context: Context) -> tuple[Figure, ...]:
    """When it was given, where pgvigil saw that."""
    given = [each for each in context.changes if each.key == role.name and "SUPERUSER" in (each.new or "")]
    given = [each for each in given if "SUPERUSER" not in (each.old or "")]
    if not given:
        return ()
    last = given[-1]
    return (Figure("Since", f"between {last.after:%Y-%m-%d %H:%M} and {last.at:%Y-%m-%d %H:%M} UTC"),)


RULE = Rule(
    name="superuser_roles",
    watches=("roles",),
    params=SuperuserRolesParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A role other than the one that initdb made may log in and is a superuser. Applications and people"
        " hardly ever need that: ownership and predefined roles do. One finding for each role, so that a new one is"
        " noticed.",
        magnitude="",
        why_these_defaults="Info: it is how the server was set up, and no fault of tonight. What managed services keep"
        " for themselves (rdsadmin, cloudsqladmin, alloydbadmin, azuresu ...) is not told. CIS PostgreSQL Benchmark, 4.3"
        " (excessive administrative privileges).",
        evidence="The role, its other powers, and when it got this one if pgvigil saw that.",
        what_to_do="See who uses it, grant what is needed, ALTER ROLE ... NOSUPERUSER. Roles of people on call go into"
        " `expected`.",
        how_to_look="SELECT rolname, rolcanlogin, rolvaliduntil FROM pg_roles WHERE rolsuper",
    ),
)
