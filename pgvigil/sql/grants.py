"""What the role of pgvigil is granted: the whole of it in tiers, and the one grant that an error asks for.

The tiers are data, so that what `pgvigil grants` prints, `deploy/grants.sql` and the role that the tests of the
collectors run as are the same thing. Every statement may run again and again, on PostgreSQL 13 to 18.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import dedent

from pgvigil.sql.identifiers import quote_identifier, quote_name, quote_text

_DENIED = re.compile(
    r"permission denied for (schema|database|function|view|table|relation) (.+)",
    re.IGNORECASE,
)
_PRIVILEGE = {
    "schema": "USAGE ON SCHEMA",
    "function": "EXECUTE ON FUNCTION",
    "database": "CONNECT ON DATABASE",
}
_PLAIN_DATABASE = re.compile(r"[A-Za-z0-9_]+")

# The statements run as a superuser, and find no function that somebody else planted in their way.
_SAFE_PATH = "SET search_path = pg_catalog, pg_temp;\n"

# Two connections and a third for what takes long, one that is just being replaced, and `pgvigil check` besides.
CONNECTIONS = 5


class Tier(StrEnum):
    """Each includes the ones before it."""

    WATCH = "watch"
    PLANS = "plans"
    INTEGRITY = "integrity"


@dataclass(frozen=True, slots=True)
class Grant:
    """One statement, why it is there, and whether it is to be run in every database that is watched."""

    tier: Tier
    why: str
    sql: str
    each_database: bool = False


def grants(tier: Tier, role: str) -> tuple[Grant, ...]:
    """What `role` needs for `tier`, in the order in which it is run."""
    wanted = tuple(Tier)[: tuple(Tier).index(tier) + 1]
    made = (*_watch(role), *_plans(role), *_integrity(role))
    return tuple(grant for grant in made if grant.tier in wanted)


def script(tier: Tier, role: str, databases: Sequence[str] = ()) -> str:
    """The same for psql, with the reasons as comments. `databases` are visited one after the other; without any
    the part that is for each database is for the one that psql is connected to.
    """
    chosen = grants(tier, role)
    return "\n".join([_head(tier, role, databases), *_body(chosen, role, databases)])


def grant_after(message: str, role: str, schemas: Mapping[str, str] | None = None) -> str | None:
    """The GRANT that mends an error of the server, without a semicolon; None where its words do not name the object.

    The server names objects without their schema. What pgvigil reads belongs to the system catalog or to an
    extension, which `schemas` (extension -> schema) places; without `schemas` nothing is guessed. A server that
    speaks another language is not understood.
    """
    denied = _DENIED.fullmatch(message.strip())
    if denied is None:
        return None
    kind, name = denied[1].lower(), denied[2]
    if kind in ("schema", "database"):
        target = quote_identifier(name)
    elif schemas is not None:
        target = quote_name(_extension_schema(name, schemas) or "pg_catalog", name)
    else:
        return None
    return f"GRANT {_PRIVILEGE.get(kind, 'SELECT ON')} {target} TO {quote_identifier(role)}"


def _extension_schema(name: str, schemas: Mapping[str, str]) -> str | None:
    """Objects of extensions bear the extension's name, alone or in front."""
    owners = [each for each in schemas if name == each or name.startswith(f"{each}_")]
    return schemas[max(owners, key=len)] if owners else None


# --- the tiers ----------------------------------------------------------------------------------------------


def _watch(role: str) -> Iterator[Grant]:
    who = quote_identifier(role)
    yield Grant(
        Tier.WATCH,
        "The role. pgvigil uses up to three connections at once; five leave room for one that is just being replaced and"
        " for `pgvigil check`.",
        _do(
            f"""
            BEGIN
              IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {quote_text(role)}) THEN
                CREATE ROLE {who} LOGIN CONNECTION LIMIT {CONNECTIONS};
              END IF;
            END
            """
        ),
    )
    yield Grant(
        Tier.WATCH,
        "Statistics, settings, sessions and statements of all roles. Nothing of the data in tables; but the text of"
        " running statements, and that may hold literals.",
        f"GRANT pg_monitor TO {who};",
    )
    yield Grant(
        Tier.WATCH,
        "Limits that hold even if a client of this role forgets its own; pgvigil's are tighter.",
        f"ALTER ROLE {who} SET statement_timeout = '30s';\n"
        f"ALTER ROLE {who} SET lock_timeout = '1s';\n"
        f"ALTER ROLE {who} SET idle_in_transaction_session_timeout = '30s';",
    )
    yield Grant(
        Tier.WATCH,
        "Statement statistics. They need shared_preload_libraries = 'pg_stat_statements' (a restart), and in one"
        " database of the server CREATE EXTENSION pg_stat_statements. This grants what was taken from PUBLIC there,"
        " and does nothing elsewhere.",
        _extension_grants(
            role, "pg_stat_statements", ("pg_stat_statements", "pg_stat_statements_info"), views=True
        ),
        each_database=True,
    )

    yield _sequences(role)
    yield Grant(
        Tier.WATCH,
        "PostgreSQL 13 only: which subscription is which, to see that logical replication goes on. It shows a number; the"
        " other columns are readable anyway, and the connection string stays hidden.",
        _do(
            f"""
            BEGIN
              IF current_setting('server_version_num')::int < 140000 THEN
                GRANT SELECT (oid) ON pg_catalog.pg_subscription TO {who};
              END IF;
            END
            """
        ),
        each_database=True,
    )


def _sequences(role: str) -> Grant:
    return Grant(
        Tier.WATCH,
        "How far sequences have counted, of those that this database has now: one that runs out stops all inserts into"
        " its table. Run it again for new ones; it shows nothing but the last value.",
        _do(
            f"""
            DECLARE
              home name;
            BEGIN
              FOR home IN SELECT DISTINCT n.nspname FROM pg_catalog.pg_class AS c
                JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                WHERE c.relpersistence <> 't' AND CASE WHEN c.relkind = 'S'
                  THEN NOT has_sequence_privilege({quote_text(role)}, c.oid, 'SELECT,USAGE') END
              LOOP
                EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', home, {quote_text(role)});
              END LOOP;
            END
            """
        ),
        each_database=True,
    )


def _plans(role: str) -> Iterator[Grant]:
    who = quote_identifier(role)
    yield Grant(
        Tier.PLANS,
        "EXPLAIN of a SELECT needs the right to read its tables, although it reads no row. The cost: this role can"
        " then read every table of every database. Plans of INSERT, UPDATE and DELETE stay unknown, because they"
        " would need the right to write, and so do plans of statements whose functions were closed to PUBLIC.",
        _do(
            f"""
            BEGIN
              IF current_setting('server_version_num')::int >= 140000 THEN
                GRANT pg_read_all_data TO {who};
              ELSE
                RAISE NOTICE 'before PostgreSQL 14 there is no pg_read_all_data: tables are granted in each database';
              END IF;
            END
            """
        ),
    )
    yield Grant(
        Tier.PLANS,
        "PostgreSQL 13 only, because pg_read_all_data came with 14: the same for the tables that this database has"
        " now. Run it again after new tables.",
        _do(
            f"""
            DECLARE
              home name;
            BEGIN
              IF current_setting('server_version_num')::int < 140000 THEN
                FOR home IN SELECT nspname FROM pg_catalog.pg_namespace
                  WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
                LOOP
                  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', home, {quote_text(role)});
                  EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', home, {quote_text(role)});
                END LOOP;
              END IF;
            END
            """
        ),
        each_database=True,
    )


def _integrity(role: str) -> Iterator[Grant]:
    yield Grant(
        Tier.INTEGRITY,
        "amcheck's functions that lock nothing out, where the extension is in this database (CREATE EXTENSION amcheck);"
        " elsewhere it does nothing. bt_index_parent_check is left out: it blocks writes."
        "\nReading tables is part of the tier plans. Row security would hide rows from this role and make references"
        " look broken, so tables that have it are told as unknown, never as sound, unless a superuser decides"
        f" otherwise:\n  ALTER ROLE {quote_identifier(role)} BYPASSRLS;",
        _extension_grants(
            role, "amcheck", ("bt_index_check", "gin_index_check", "verify_heapam"), views=False
        ),
        each_database=True,
    )


def _extension_grants(role: str, extension: str, functions: Sequence[str], *, views: bool) -> str:
    """Grants what is missing only: on a managed server one may not be allowed to grant what PUBLIC has anyway."""
    who = quote_text(role)
    select = f"""
              FOR what IN SELECT c.oid::regclass::text FROM pg_catalog.pg_class AS c
                JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                JOIN pg_catalog.pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                WHERE e.extname = {quote_text(extension)} AND c.relkind = 'v'
                  AND NOT has_table_privilege({who}, c.oid, 'SELECT')
              LOOP
                EXECUTE format('GRANT SELECT ON %s TO %I', what, {who});
              END LOOP;"""
    names = ", ".join(map(quote_text, functions))
    return _do(
        f"""
            DECLARE
              what text;
            BEGIN
              FOR what IN SELECT n.nspname FROM pg_catalog.pg_extension AS e
                JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
                WHERE e.extname = {quote_text(extension)} AND NOT has_schema_privilege({who}, n.oid, 'USAGE')
              LOOP
                EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', what, {who});
              END LOOP;
              FOR what IN SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
                JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                JOIN pg_catalog.pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                WHERE e.extname = {quote_text(extension)} AND p.proname IN ({names})
                  AND NOT has_function_privilege({who}, p.oid, 'EXECUTE')
              LOOP
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', what, {who});
              END LOOP;{select if views else ""}
            END
            """
    )


def _do(body: str) -> str:
    """An anonymous block. The tag of its quotes occurs nowhere inside, whatever the role is called."""
    text = dedent(body).strip()
    number, tag = 0, "$grants$"
    while tag in text:
        number += 1
        tag = f"$grants{number}$"
    return f"DO {tag}\n{text}\n{tag};"


# --- the script ---------------------------------------------------------------------------------------------


def _head(tier: Tier, role: str, databases: Sequence[str]) -> str:
    below = "" if tier is Tier.WATCH else " and the tiers below it"
    where = (
        "Database by database, as named with --database."
        if databases
        else "What belongs into each database is done in the one that psql is connected to; `pgvigil grants"
        " --database NAME` visits others, and grants CONNECT where that was revoked from PUBLIC."
    )
    return "\n".join(
        [
            *_comment(
                f"What pgvigil needs on a server: tier {tier}{below}, for the role {quote_identifier(role)},"
                " PostgreSQL 13 to 18. Printed by `pgvigil grants`; run it as a superuser, once per server, as often"
                " as you like:"
            ),
            "--   psql -X -v ON_ERROR_STOP=1 -f grants.sql",
            *_comment(where),
            *_comment(
                "Then give the role a password (\\password) or a line in pg_hba.conf. pgvigil itself needs no superuser."
            ),
            "",
            *([] if all(map(str.isascii, (role, *databases))) else ["\\encoding UTF8"]),
            _SAFE_PATH,
        ]
    )


def _body(chosen: Sequence[Grant], role: str, databases: Sequence[str]) -> Iterator[str]:
    for grant in chosen:
        if not grant.each_database:
            yield _shown(grant)
    for database in databases:
        name, who = quote_identifier(database), quote_identifier(role)
        yield "\n".join(
            [*_comment(f"pgvigil connects to {name}."), f"GRANT CONNECT ON DATABASE {name} TO {who};", ""]
        )
        yield f"{_connect(database)}\n{_SAFE_PATH}"
        yield from map(_shown, _of_each(chosen))
    if not databases:
        yield from map(_shown, _of_each(chosen))


def _of_each(chosen: Sequence[Grant]) -> Iterator[Grant]:
    return (grant for grant in chosen if grant.each_database)


def _shown(grant: Grant) -> str:
    return "\n".join([*_comment(grant.why), grant.sql, ""])


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.split("\n"):
        yield from _wrapped(paragraph)


def _wrapped(text: str, width: int = 110) -> Iterator[str]:
    margin = text[: len(text) - len(text.lstrip())]
    line = f"--{margin}"
    for word in text.split():
        if len(line) + len(word) >= width and line.strip("- "):
            yield line
            line = f"--{margin}"
        line += f" {word}"
    yield line


def _connect(database: str) -> str:
    """The psql command. A name that could be taken for options or quotes is written as a connection string."""
    if _PLAIN_DATABASE.fullmatch(database):
        return f"\\connect {database}"
    value = database.replace("\\", "\\\\").replace("'", "\\'")
    return "\\connect -reuse-previous=on '" + _psql_quoted(f"dbname='{value}'") + "'"


def _psql_quoted(text: str) -> str:
    """Inside single quotes psql reads C escapes, and then takes double quotes for those of an identifier."""
    doubled = '"' + text.replace("\\", "\\\\").replace("'", "''").replace('"', '""') + '"'
    return "".join(char if char.isprintable() else _octal(char) for char in doubled)


def _octal(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in char.encode())
