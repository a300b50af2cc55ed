"""Ids used up, and given back, on a real server."""

import psycopg
from psycopg import sql

from pgvigil.scratch.server import ScratchServer


def use_xids(dsn: str, number: int) -> None:
    """`number` transactions, each with an id."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL(
                "DO $$ BEGIN FOR i IN 1..{} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
            ).format(number)
        )


def use_multixacts(dsn: str, number: int) -> None:
    """`number` multixacts: rows that two transactions have locked, the second one in as many subtransactions."""
    with psycopg.connect(dsn) as one, psycopg.connect(dsn) as other:
        one.execute("CREATE TABLE IF NOT EXISTS locked (id int)")
        one.execute("TRUNCATE locked")
        one.execute("INSERT INTO locked SELECT generate_series(1, %s)", [number])
        one.commit()
        one.execute("SELECT FROM locked FOR SHARE")
        other.execute(
            sql.SQL(
                "DO $$ BEGIN FOR i IN 1..{} LOOP BEGIN PERFORM FROM locked WHERE id = i FOR SHARE;"
                " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$"
            ).format(number)
        )


def freeze(server: ScratchServer) -> None:
    """VACUUM (FREEZE) every database, the one that admits nobody too."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        rows = admin.execute("SELECT datname, datallowconn FROM pg_database").fetchall()
        for name, allowed in rows:
            allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            admin.execute(allow.format(sql.Identifier(name), sql.SQL("true")))
            with psycopg.connect(server.dsn(name), autocommit=True) as inside:
                inside.execute("VACUUM (FREEZE)")
            admin.execute(allow.format(sql.Identifier(name), sql.SQL("true" if allowed else "false")))
        admin.execute("CHECKPOINT")
