"""A real server, made up to look and refuse like that of a managed service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgvigil.scratch.server import ScratchServer

# What reads the file system or the control file: kept by the services for themselves.
FILES = (
    "pg_ls_waldir()",
    "pg_ls_archive_statusdir()",
    "pg_ls_tmpdir()",
    "pg_ls_tmpdir(oid)",
    "pg_ls_logdir()",
    "pg_stat_file(text)",
    "pg_read_file(text)",
)
CONTROL = ("pg_control_checkpoint()", "pg_control_system()", "pg_control_init()", "pg_control_recovery()")

# What Aurora, whose storage is another one, does not have; with the type that the function gives.
OF_WAL = {
    "pg_current_wal_lsn": "pg_lsn",
    "pg_current_wal_insert_lsn": "pg_lsn",
    "pg_current_wal_flush_lsn": "pg_lsn",
    "pg_last_wal_receive_lsn": "pg_lsn",
    "pg_last_wal_replay_lsn": "pg_lsn",
    "pg_last_xact_replay_timestamp": "timestamptz",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One service: its superuser, the role that customers get, its other roles, and its databases."""

    service: str
    superuser: str
    customers: str
    roles: Sequence[str]
    databases: Sequence[str]
    denied: Sequence[str]
    unsupported: bool = False


RDS = Profile(
    "Amazon RDS",
    "rdsadmin",
    "rds_superuser",
    ("rds_ad", "rds_iam", "rds_password", "rds_replication", "rdsrepladmin"),
    ("rdsadmin",),
    (*FILES, *CONTROL),
)
AURORA = Profile(
    "Amazon Aurora",
    "rdsadmin",
    "rds_superuser",
    ("rds_iam", "rds_password", "rds_replication"),
    ("rdsadmin",),
    (*FILES, *CONTROL),
    unsupported=True,
)
CLOUD_SQL = Profile(
    "Cloud SQL",
    "cloudsqladmin",
    "cloudsqlsuperuser",
    ("cloudsqlagent", "cloudsqlreplica", "cloudsqlimportexport", "cloudsqliamuser"),
    ("cloudsqladmin",),
    FILES,
)
AZURE = Profile(
    "Azure Database for PostgreSQL",
    "azuresu",
    "azure_pg_admin",
    ("azure_superuser_helper",),
    ("azure_maintenance", "azure_sys"),
    (*FILES, *CONTROL),
)
PROFILES = {profile.service: profile for profile in (RDS, AURORA, CLOUD_SQL, AZURE)}


def stage(server: ScratchServer, profile: Profile) -> str:
    """The DSN of pgvigil's role there, made as the how-to says: with the powers of the customers' role, no more."""
    with psycopg.connect(server.dsn(), autocommit=True) as owner:
        _run(owner, "CREATE ROLE {} SUPERUSER LOGIN", profile.superuser)
        _run(owner, "CREATE ROLE {} CREATEROLE CREATEDB", profile.customers)
        for role in profile.roles:
            _run(owner, "CREATE ROLE {}", role)
        for name in profile.databases:
            _run(owner, "CREATE DATABASE {} OWNER {}", name, profile.superuser)
            _run(owner, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", name)
        _run(owner, "CREATE DATABASE app")
        owner.execute("CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
    for database in ("postgres", "app"):
        with psycopg.connect(server.dsn(database), autocommit=True) as owner:
            for function in profile.denied:
                _revoke(owner, function)
            if profile.unsupported:
                _unsupported(owner)
            owner.execute("CREATE SCHEMA IF NOT EXISTS tools")
            owner.execute("CREATE EXTENSION pg_stat_statements SCHEMA tools")
            owner.execute("GRANT USAGE ON SCHEMA tools TO pgvigil")
    return server.dsn(user="pgvigil")


def _run(connection: psycopg.Connection[Any], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _revoke(connection: psycopg.Connection[Any], function: str) -> None:
    for role in ("PUBLIC", "pg_monitor", "pg_read_all_stats", "pg_read_server_files"):
        connection.execute(f"REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM {role}".encode())


def _unsupported(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SET allow_system_table_mods = on")
    connection.execute(
        "CREATE FUNCTION pg_catalog.aurora_version() RETURNS text LANGUAGE sql AS $$SELECT '16.4.0'$$"
    )
    for name, kind in OF_WAL.items():
        words = f"Function {name}() is currently not supported for Aurora"
        body = f"BEGIN RAISE EXCEPTION '{words}' USING ERRCODE = '0A000'; END"
        # The server runs what has a built-in number without a look at its definition: so the name gets a new one.
        connection.execute(f"ALTER FUNCTION pg_catalog.{name}() RENAME TO of_community_{name}".encode())
        connection.execute(
            f"CREATE FUNCTION pg_catalog.{name}() RETURNS {kind} LANGUAGE plpgsql AS $${body}$$".encode()
        )
