"""Roles that may do more than others, and since when. Passwords are not looked at: pg_monitor may not read them."""

from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Role(NamedTuple):
    """One with a power beyond its grants. `bootstrap`: the one that initdb made, which cannot be without them."""

    name: str
    bootstrap: bool
    superuser: bool
    login: bool
    create_role: bool
    replication: bool
    bypass_rls: bool

    @property
    def powers(self) -> str:
        """As ALTER ROLE writes them."""
        named = {
            "SUPERUSER": self.superuser,
            "CREATEROLE": self.create_role,
            "REPLICATION": self.replication,
            "BYPASSRLS": self.bypass_rls,
            "LOGIN": self.login,
        }
        return " ".join(word for word, has in named.items() if has)


ROLES = Query(
    name="roles",
    row=Role,
    columns=(
        Column("name", "rolname::text", "Name."),
        Column("bootstrap", "oid = 10", "Whether initdb made it.", "flag"),
        Column("superuser", "rolsuper", "Whether no check of privileges holds for it.", "flag"),
        Column("login", "rolcanlogin", "Whether it may connect.", "flag"),
        Column("create_role", "rolcreaterole", "Whether it may make and alter roles.", "flag"),
        Column("replication", "rolreplication", "Whether it may stream WAL.", "flag"),
        Column("bypass_rls", "rolbypassrls", "Whether row security is not applied to it.", "flag"),
    ),
    source="""
    FROM pg_roles
    WHERE rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls
    ORDER BY rolsuper AND rolcanlogin DESC, rolname
    LIMIT 1000
    """,
)


def read(reader: Reader) -> tuple[Role, ...]:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    return reader.rows(ROLES)


COLLECTOR = Collector(
    name="roles",
    summary="Roles with powers beyond their grants: superusers, CREATEROLE, REPLICATION, BYPASSRLS; and their changes.",
    lane=LaneKind.SERVER,
    interval_s=600.0,
    timeout_s=5.0,
    queries=(ROLES,),
    read=read,
    tables={ROLES.name: lambda rows: rows},
    families=(
        Family(
            name="superuser_login_roles",
            help="Roles that are superusers and may log in, the one of initdb included.",
            rows=lambda rows: (rows,),
            value=lambda rows: float(sum(each.superuser and each.login for each in rows)),
        ),
    ),
    journal=lambda rows: {each.name: each.powers for each in rows},
)
