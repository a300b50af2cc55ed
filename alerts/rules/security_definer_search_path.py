"""Functions that run as their owner and look things up where their caller says."""

from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules._peers import told_by_primary
from alerts.rules._tables import table_block
from alerts.rules._together import SCHEMA_CHANGE
from collectors.security_definers import Definer, SecurityDefinersReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier, quote_name, quote_text

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
        steps=_steps(definers, frozenset(each.name for each in rows.open_schemas)),
    )


def _row(definer: Definer) -> tuple[object, ...]:
    called = f"{quote_name(definer.schema, definer.name)}({definer.arguments})"
    return (called, definer.owner, "yes" if definer.superuser else "", "yes" if definer.public else "")


def _steps(definers: list[Definer], open_schemas: frozenset[str]) -> tuple[Step, ...]:
    first = [each for each in definers if each.arguments.isprintable()][:_COMMANDS]
    return (
        *(step for each in first for step in _commands(each, in_open=each.schema in open_schemas)),
        Step("Where not everyone is meant to call it: REVOKE EXECUTE ... FROM PUBLIC, and grant it by name."),
    )


def _commands(definer: Definer, *, in_open: bool) -> tuple[Step, ...]:
    """What its body names without a schema only a person can tell: it may be made at run time."""
    called = f"{quote_name(definer.schema, definer.name)}({definer.arguments})"
    closed = (
        f" Everyone may create objects in {quote_identifier(definer.schema)}: revoke that first, or name the objects with"
        " their schema and leave it out."
        if in_open
        else ""
    )
    return (
        Step(
            "Read what it names without a schema, also in statements that it puts together.",
            "SELECT prosrc FROM pg_proc WHERE proname ="
            f" {quote_text(definer.name)} AND pronamespace = {quote_text(quote_identifier(definer.schema))}::regnamespace",
        ),
        Step(
            "Give it a search_path of its own; it holds from the next call. This is a proposal to check: what it uses from"
            f" other schemas has to be added before pg_temp, or calls fail.{closed}",
            f"ALTER ROUTINE {called} SET search_path = pg_catalog, {quote_identifier(definer.schema)}, pg_temp",
        ),
    )


RULE = Rule(
    name="security_definer_search_path",
    unit="functions",
    watches=("security_definers",),
    params=SecurityDefinerSearchPathParams,
    evaluate=evaluate,
    together=SCHEMA_CHANGE,
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
        what_to_do="ALTER ROUTINE ... SET search_path, with the schemas that the function uses and pg_temp last: read its body,"
        " the proposal knows only its own schema. REVOKE EXECUTE FROM PUBLIC where not everyone is meant to call it.",
        how_to_look="SELECT oid::regprocedure, proowner::regrole, proconfig FROM pg_proc WHERE prosecdef AND NOT"
        " EXISTS (SELECT FROM unnest(proconfig) AS c WHERE c LIKE 'search_path=%')",
    ),
)
