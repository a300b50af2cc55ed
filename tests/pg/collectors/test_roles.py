"""The collector `roles` on real servers."""

from collectors.roles import COLLECTOR, Role
from pgvigil.postgres.session import Session
from tests.support.servers import Database


def test_powers_are_told_and_ordinary_roles_are_not(reader: Session, each_database: Database) -> None:
    name = each_database.name
    each_database.execute(
        f"CREATE ROLE {name}_a SUPERUSER LOGIN REPLICATION; CREATE ROLE {name}_b BYPASSRLS;"
    )
    each_database.execute(f"CREATE ROLE {name}_c LOGIN")
    try:
        found = {role.name: role for role in COLLECTOR.read(reader)}
        assert found[f"{name}_a"] == Role(f"{name}_a", False, True, True, False, True, False)
        assert found[f"{name}_a"].powers == "SUPERUSER REPLICATION LOGIN"
        assert (found[f"{name}_b"].powers, found["postgres"].bootstrap) == ("BYPASSRLS", True)
        assert f"{name}_c" not in found
        assert COLLECTOR.journal is not None
        assert COLLECTOR.journal(tuple(found.values()))[f"{name}_b"] == "BYPASSRLS"
    finally:
        each_database.execute(f"DROP ROLE {name}_a, {name}_b, {name}_c")
