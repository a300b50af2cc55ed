"""Managed services that run PostgreSQL for people, and how they are recognised.

By roles that only they make: settings of theirs (`rds.*`, `cloudsql.*`, `azure.*`) can be named in any session.
"""

from collections.abc import Collection
from dataclasses import dataclass

AURORA = "Amazon Aurora"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """`marks` are all there where it is the service. `roles` are its own."""

    name: str
    marks: frozenset[str]
    roles: frozenset[str]


SERVICES = (
    Service(
        name="Amazon RDS",
        marks=frozenset({"rdsadmin", "rds_superuser"}),
        roles=frozenset(
            {
                "rdsadmin",
                "rds_superuser",
                "rds_ad",
                "rds_iam",
                "rds_password",
                "rds_replication",
                "rdsproxyadmin",
            }
            | {"rdsrepladmin", "rdstopmgr", "rdswriteforwarduser"}
        ),
    ),
    Service(
        name="AlloyDB",
        marks=frozenset({"alloydbadmin", "alloydbsuperuser"}),
        roles=frozenset(
            {"alloydbadmin", "alloydbsuperuser", "alloydbagent", "alloydbiamuser", "alloydbimportexport"}
            | {"alloydbreplica", "alloydbobservability"}
        ),
    ),
    Service(
        name="Cloud SQL",
        marks=frozenset({"cloudsqladmin", "cloudsqlsuperuser"}),
        roles=frozenset(
            {
                "cloudsqladmin",
                "cloudsqlsuperuser",
                "cloudsqlagent",
                "cloudsqlconnpooladmin",
                "cloudsqliamuser",
            }
            | {"cloudsqliamserviceaccount", "cloudsqliamgroup", "cloudsqliamgroupserviceaccount"}
            | {"cloudsqliamgroupuser", "cloudsqlimportexport", "cloudsqlinactiveuser", "cloudsqllogical"}
            | {"cloudsqlobservability", "cloudsqlobservabilityuser", "cloudsqlreplica"}
        ),
    ),
    Service(
        name="Azure Database for PostgreSQL",
        marks=frozenset({"azuresu", "azure_pg_admin"}),
        roles=frozenset({"azuresu", "azure_pg_admin", "azure_superuser"}),
    ),
)

# What collectors call, where they may, that services keep for themselves; and what is not seen without it.
KEPT = {
    "pg_ls_waldir()": "the size of pg_wal",
    "pg_ls_archive_statusdir()": "WAL files that wait to be archived",
    "pg_ls_tmpdir(oid)": "temporary files in use",
    "pg_control_checkpoint()": "members of multixacts",
    "pg_control_system()": "the system identifier, by which the servers of one cluster know each other",
}

MARKS = tuple(sorted(frozenset[str]().union(*(service.marks for service in SERVICES))))


def recognised(roles: Collection[str], *, aurora: bool) -> tuple[str | None, frozenset[str]]:
    """The service's name and its own roles; None where it is nobody's, or that of somebody not known here."""
    present = frozenset(roles)
    found = next((service for service in SERVICES if service.marks <= present), None)
    if found is None:
        return None, frozenset()
    return (AURORA if aurora and "rdsadmin" in found.marks else found.name), found.roles
