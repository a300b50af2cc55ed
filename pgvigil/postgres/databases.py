"""The databases of a server, as they can be followed."""

from typing import NamedTuple

from pgvigil.postgres.query import Column, Query


class Database(NamedTuple):
    """`connectable` is datallowconn; a database is worth following when it is no template and has the privilege."""

    oid: int
    name: str
    connectable: bool
    template: bool
    has_connect_privilege: bool


DATABASES = Query(
    name="databases",
    row=Database,
    columns=(
        Column("oid", "d.oid"),
        Column("name", "d.datname::text"),
        Column(
            "connectable", "d.datallowconn AND d.datconnlimit <> -2"
        ),  # -2: a DROP DATABASE that was interrupted
        Column("template", "d.datistemplate"),
        Column("has_connect_privilege", "coalesce(has_database_privilege(d.oid, 'CONNECT'), false)"),
    ),
    source="FROM pg_database d ORDER BY d.datname",
)
