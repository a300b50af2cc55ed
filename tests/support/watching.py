"""The role of the tier `watch`, made by running what `pgvigil grants` prints through psql, and its sessions.

Its name has everything that a name can have, so that each test of a collector shows that no name does harm.
"""

import shutil
import subprocess
from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.sql.grants import Tier, script
from tests.support import servers
from tests.support.reporting import not_run

ROLE = """pgvigil's "watch" $grants$ \\ role"""
_PASSWORD = "of-the-tests"

_MEMBER_OF = """
    SELECT coalesce(array_agg(g.rolname::text ORDER BY g.rolname), '{}')
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
    WHERE r.rolname = %s
"""
_POWERS = """
    SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    FROM pg_roles WHERE rolname = %s
"""


def psql(dsn: str, text: str) -> None:
    """Run `text` as people do; fails the test with psql's own words."""
    found = [each.program("psql") for each in servers.installations()]
    program = next((path for path in found if shutil.which(path)), None) or shutil.which("psql")
    if program is None:
        not_run("no psql (Debian: apt-get install postgresql-client)")
    command = [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", dsn]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def watch_dsn(dsn: str) -> str:
    """The DSN of the watch role in the database of `dsn`, a superuser's; the role is there afterwards.

    Fails unless the role is a member of exactly what the tier grants, and has no power of its own.
    """
    psql(dsn, script(Tier.WATCH, ROLE))
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), _PASSWORD))
        assert admin.execute(_MEMBER_OF, [ROLE]).fetchone() == (["pg_monitor"],)
        assert admin.execute(_POWERS, [ROLE]).fetchone() == (False,)
    return _as_role(dsn)


def watch(dsn: str) -> Session:
    """A session as the daemon opens it, of the watch role. Close it."""
    return connect(Dsn.parse(watch_dsn(dsn)))


def watch_standby(dsn: str) -> Session:
    """The same on a standby that has replayed the making of the role on its primary."""
    return connect(Dsn.parse(_as_role(dsn)))


def _as_role(dsn: str) -> str:
    return make_conninfo(**{**conninfo_to_dict(dsn), "user": ROLE, "password": _PASSWORD})


def forbid_superusers(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a reading through a superuser's session fails the test: it would prove nothing."""

    def guarded(read: Callable[..., object]) -> Callable[..., object]:
        def checked(session: Session, *given: object, **named: object) -> object:
            assert not session.facts.superuser, "a collector was read as a superuser"
            return read(session, *given, **named)

        return checked

    for name in ("rows", "frame"):
        monkeypatch.setattr(Session, name, guarded(getattr(Session, name)))
