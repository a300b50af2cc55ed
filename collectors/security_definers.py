"""Functions that run with their owner's rights and their caller's search_path, and schemas that everyone may create in.

Together they let a caller put objects of its own in the way of such a function, and so act as its owner. Functions in C,
with a body in standard SQL (bound when they are made), and of extensions are left out. Only catalogues are read.
"""

from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Definer(NamedTuple):
    """`public`: everyone may call it. `total` is how many there are, those beyond the first hundred included."""

    schema: str
    name: str
    arguments: str
    owner: str
    superuser: bool
    public: bool
    total: int

    @property
    def exposed(self) -> bool:
        """Whether everyone can call what a superuser owns."""
        return self.superuser and self.public


class OpenSchema(NamedTuple):
    """One in which PUBLIC may create objects."""

    name: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityDefinersReading:
    """Of one database: the most exposed functions first."""

    definers: tuple[Definer, ...] = ()
    open_schemas: tuple[OpenSchema, ...] = ()


DEFINERS = Query(
    name="security_definers",
    row=Definer,
    columns=(
        Column("schema", "n.nspname::text", "Schema."),
        Column("name", "p.proname::text", "Name."),
        Column("arguments", "pg_get_function_identity_arguments(p.oid)", "Arguments."),
        Column("owner", "o.rolname::text", "Whose rights it has."),
        Column("superuser", "o.rolsuper", "Whether the owner is a superuser.", "flag"),
        Column("public", "call.by_all", "Whether everyone may call it.", "flag"),
        Column("total", "count(*) OVER ()", "How many there are.", "count"),
    ),
    source="""
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_roles AS o ON o.oid = p.proowner
    JOIN pg_language AS l ON l.oid = p.prolang
    CROSS JOIN LATERAL (
      SELECT EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                     WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
         AND EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
                     WHERE a.grantee = 0 AND a.privilege_type = 'USAGE') AS by_all
    ) AS call
    WHERE CASE WHEN p.prosecdef THEN
        l.lanname NOT IN ('internal', 'c') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE starts_with(c, 'search_path='))
        AND to_jsonb(p) ->> 'prosqlbody' IS NULL
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                        AND d.deptype = 'e')
      ELSE false END
    ORDER BY o.rolsuper AND call.by_all DESC, n.nspname, p.proname, 3
    LIMIT 100
    """,
)

OPEN_SCHEMAS = Query(
    name="security_definers_schemas",
    row=OpenSchema,
    columns=(
        Column("name", "n.nspname::text", "Name."),
        Column("owner", "o.rolname::text", "Owner."),
    ),
    source="""
    FROM pg_namespace AS n JOIN pg_roles AS o ON o.oid = n.nspowner
    WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
      AND EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
                  WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')
    ORDER BY 1
    LIMIT 100
    """,
)


def read(reader: Reader) -> SecurityDefinersReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    return SecurityDefinersReading(definers=reader.rows(DEFINERS), open_schemas=reader.rows(OPEN_SCHEMAS))


COLLECTOR = Collector(
    name="security_definers",
    summary="SECURITY DEFINER functions without a search_path of their own, and schemas in which everyone may create.",
    lane=LaneKind.DATABASES,
    interval_s=3600.0,
    timeout_s=10.0,
    queries=(DEFINERS, OPEN_SCHEMAS),
    read=read,
    tables={
        DEFINERS.name: lambda reading: reading.definers,
        OPEN_SCHEMAS.name: lambda reading: reading.open_schemas,
    },
    families=(
        Family(
            name="security_definer_functions_without_search_path",
            help="SECURITY DEFINER functions that run with the search_path of their caller.",
            rows=lambda reading: (reading,),
            value=lambda reading: float(reading.definers[0].total if reading.definers else 0),
        ),
    ),
)
