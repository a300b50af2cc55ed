"""Functions that run as their owner and look things up where their caller says."""

from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules._peers import told_by_primary
from alerts.rules._tables import table_block
from collectors.security_definers import Definer, SecurityDefinersReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_name

_SHOWN = 20
_COMMANDS = 3


class SecurityDefinerSearchPathParams(SeverityParams):
    severity: str = Field(
        "warning",
        pattern="^(info|warning|critical)$",
        description="Of functions that a superuser owns and everyone may call; without one of those it is info.",
    )
    ignore: tuple[str, ...] = Field((), description="Functions, as `schema.name`, that are meant to be so.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: SecurityDefinerSearchPathParams, context: Context
) -> Judgement:
    rows: SecurityDefinersReading = reading.rows
    database = reading.database if isinstance(reading, Snapshot) else None
    scope = Scope(databases=None if database is None else frozenset({database}))
    definers = [each for each in rows.definers if f"{each.schema}.{each.name}" not in params.ignore]
    if not definers or told_by_primary(context):
        return Judgement((), scope)
    return Judgement((_finding(definers, rows, database, params, context),), scope)


def _finding(
    definers: list[Definer],
    rows: SecurityDefinersReading,
    database: str | None,
    params: SecurityDefinerSearchPathParams,
    context: Context,
) -> Finding:
    exposed = sum(each.exposed for each in definers)
    total = definers[0].total - (len(rows.definers) - len(definers))
    said = f", {exposed:,} of them a superuser's that everyone may call" if exposed else ""
    function = counted(total, "SECURITY DEFINER function")
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject="security definers",
        level=params.level if exposed else Level.INFO,
        summary=f"{function} without a search_path of {'its' if total == 1 else 'their'} own{said}",
        value=float(total),
        evidence=Evidence(
            impact="Whoever may call one can set a search_path with objects of its own in front, and the function then uses"
            " those with its owner's rights" + (": any role can become superuser." if exposed else "."),
            figures=(Figure("Schemas open to everyone", str(len(rows.open_schemas))),),
            blocks=(
                table_block(
                    "The functions",
                    ("function", "owner", "superuser", "everyone may call"),
                    [_row(each) for each in definers],
                    _SHOWN,
                ),
            ),
            cause="CREATE FUNCTION ... SECURITY DEFINER without SET search_path.",
        ),
        steps=_steps(definers),
    )


def _row(definer: Definer) -> tuple[object, ...]:
    called = f"{quote_name(definer.schema, definer.name)}({definer.arguments})"
    return (called, definer.owner, "yes" if definer.superuser else "", "yes" if definer.public else "")


def _steps(definers: list[Definer]) -> tuple[Step, ...]:
    first = [each for each in definers if each.arguments.isprintable()][:_COMMANDS]
    return (
        *(
            Step(
                "Give it a search_path of its own: the schemas that it uses, pg_temp last. It holds from the next call.",
                f"ALTER ROUTINE {quote_name(each.schema, each.name)}({each.arguments})"
                f" SET search_path = pg_catalog, {quote_identifier(each.schema)}, pg_temp",
            )
            for each in first
        ),
        Step("Where not everyone is meant to call it: REVOKE EXECUTE ... FROM PUBLIC, and grant it by name."),
    )


RULE = Rule(
    name="security_definer_search_path",
    watches=("security_definers",),
    params=SecurityDefinerSearchPathParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A SECURITY DEFINER function runs with the rights of its owner, but finds tables, functions and operators"
        " by the search_path of whoever calls it, unless it has one of its own. A caller who may create objects anywhere,"
        " its own temporary schema included, can have the function use them. If a superuser owns it, that is a way to"
        " become one. Functions in C, with a body in standard SQL (14+), and of extensions are not counted.",
        magnitude="",
        why_these_defaults="A warning where a superuser's function may be called by everyone: that hole is open to each"
        " role that can log in. Info otherwise: the caller is trusted with the function, and gains one owner's rights."
        " PostgreSQL manual, CREATE FUNCTION: Writing SECURITY DEFINER Functions Safely.",
        evidence="The functions with their owners, the exposed ones first, and how many schemas everyone may create in.",
        what_to_do="ALTER ROUTINE ... SET search_path, with the schemas that the function uses and pg_temp last; REVOKE"
        " EXECUTE FROM PUBLIC where not everyone is meant to call it.",
        how_to_look="SELECT oid::regprocedure, proowner::regrole, proconfig FROM pg_proc WHERE prosecdef AND NOT"
        " EXISTS (SELECT FROM unnest(proconfig) AS c WHERE c LIKE 'search_path=%')",
    ),
)
