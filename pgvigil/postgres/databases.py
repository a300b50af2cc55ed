"""The databases of a server, as they can be followed."""

from typing import Final, LiteralString, NamedTuple

from pgvigil.postgres.query import Column, Query

MAINTENANCE: Final = (
    "pgvigil:maintenance"  # whoever says so in a comment or an application_name disturbs nobody
)

_OF_SERVICE: LiteralString = (
    "d.datname IN ('alloydbadmin', 'alloydbmetadata', 'azure_maintenance', 'azure_sys', 'cloudsqladmin', 'rdsadmin')"
    " AND pg_get_userbyid(d.datdba) IN ('alloydbadmin', 'azuresu', 'cloudsqladmin', 'rdsadmin')"
)


class Database(NamedTuple):
    """`connectable` is datallowconn; a database is worth following when it is no template and has the privilege.

    `invalid` is what an interrupted DROP DATABASE leaves: it can only be dropped. `limit_zero` is a limit of no
    connections, which holds for our role. `of_service` is one that a managed service keeps for itself. `comment` is what its comment
    says of maintenance.
    """

    oid: int
    name: str
    connectable: bool
    template: bool
    has_connect_privilege: bool
    invalid: bool
    limit_zero: bool
    of_service: bool
    owner: str = ""
    comment: str | None = None


DATABASES = Query(
    name="databases",
    row=Database,
    columns=(
        Column("oid", "d.oid"),
        Column("name", "d.datname::text"),
        Column("connectable", "d.datallowconn"),
        Column("template", "d.datistemplate"),
        Column("has_connect_privilege", "coalesce(has_database_privilege(d.oid, 'CONNECT'), false)"),
        Column("invalid", "d.datconnlimit = -2"),
        Column(
            "limit_zero",
            "d.datconnlimit = 0 AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper)",
        ),
        Column("of_service", _OF_SERVICE),
        Column("owner", "pg_get_userbyid(d.datdba)::text"),
        Column("comment", "substr(s.description, strpos(s.description, 'pgvigil:maintenance'), 500)"),
    ),
    source="""
    FROM pg_database d LEFT JOIN pg_shdescription s
      ON s.objoid = d.oid AND s.classoid = 'pg_catalog.pg_database'::regclass
      AND strpos(s.description, 'pgvigil:maintenance') > 0
    ORDER BY d.datname
    """,
)
