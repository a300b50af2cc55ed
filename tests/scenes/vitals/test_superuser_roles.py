"""superuser_roles: a new superuser is noticed; the expected ones, and those of a standby's primary, are not told."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pgvigil.model.facts import Facts
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with closing(watching.watch(database.dsn())) as opened:
        yield opened


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """A role that may log in, with a name that must be quoted."""
    name = f'App "{database.name}"'
    quoted = '"' + name.replace('"', '""') + '"'
    database.execute(f"CREATE ROLE {quoted} LOGIN")
    yield quoted
    database.execute(f"DROP ROLE {quoted}")


def test_a_role_that_becomes_superuser_is_told_with_the_time_and_the_step_mends_it(
    database: Database, session: Session, role: str, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"superuser_roles": {}})
    scene.look(session)
    assert f"role {role}" not in scene.open
    database.execute(f"ALTER ROLE {role} SUPERUSER")
    scene.look(session, after_s=600)
    told = scene.firing[f"role {role}"]
    assert told.severity is Level.INFO
    assert told.summary == f"Role {role} may log in and is a superuser"
    figures = {figure.name: figure.value for figure in told.evidence.figures}
    assert figures["Powers"] == "SUPERUSER LOGIN"
    assert figures["Since"].startswith("between ")
    database.execute(told.steps[1].sql)
    scene.look(session, after_s=600)
    assert f"role {role}" not in scene.open


def test_who_is_expected_is_not_told(
    database: Database, session: Session, role: str, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"superuser_roles": {"expected": [f'App "{database.name}"']}})
    database.execute(f"ALTER ROLE {role} SUPERUSER")
    scene.look(session)
    assert {"role postgres", f"role {role}"}.isdisjoint(scene.open)
    database.execute(f"ALTER ROLE {role} NOSUPERUSER")


@dataclass
class Primary:
    """Another target, of the same cluster."""

    facts: Facts
    up: bool = True
    name: str = "primary"

    def latest(self, _feed: str, _database: str | None = None) -> Any:
        return None


def test_a_standby_is_silent_while_its_primary_is_watched(
    database: Database, session: Session, role: str, vitals: Callable[..., Vitals]
) -> None:
    database.execute(f"ALTER ROLE {role} SUPERUSER")
    primary = Primary(session.facts)
    scene = vitals({"superuser_roles": {}}, peers=lambda: (primary,))
    session._facts = replace(session.facts, in_recovery=True)
    scene.look(session)
    assert scene.open == {}
    primary.up = False
    scene.look(session, after_s=600)
    assert f"role {role}" in scene.firing
    database.execute(f"ALTER ROLE {role} NOSUPERUSER")
