"""The collector `settings` on real servers."""

from collections.abc import Callable

from collectors.settings import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.servers import Database


def test_settings_are_the_values_in_force(reader: Session, each_database: Database) -> None:
    found = COLLECTOR.read(reader)
    for name, setting in found.settings.items():
        [(value,)] = each_database.execute("SELECT setting FROM pg_settings WHERE name = %s", [name])
        assert setting.value == value, name
    assert not any(setting.waits for setting in found.settings.values())
    assert {"track_io_timing", "pg_stat_statements.max", "shared_preload_libraries"} <= found.settings.keys()


def test_an_extension_has_the_version_of_this_database_and_the_one_on_offer(
    reader: Session, each_database: Database
) -> None:
    offered = COLLECTOR.read(reader).extensions["pg_stat_statements"]
    assert offered.installed is None
    each_database.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    here = COLLECTOR.read(reader).extensions["pg_stat_statements"]
    assert (here.installed, here.offered) == ("1.8", offered.offered)


def test_a_role_tells_its_limit_and_what_it_may_not_see_is_absent(
    as_role: Callable[..., Session], each_database: Database
) -> None:
    session = as_role()
    name = session.facts.role
    each_database.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT 4')
    found = COLLECTOR.read(session)
    assert found.role == (name, 4)
    assert "shared_preload_libraries" not in found.settings
    assert "pg_stat_statements.max" in found.settings


def test_a_role_without_a_limit_says_so(as_role: Callable[..., Session]) -> None:
    assert COLLECTOR.read(as_role()).role.connection_limit == -1
