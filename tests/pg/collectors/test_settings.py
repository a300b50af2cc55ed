"""The collector `settings` on real servers."""

from collections.abc import Callable

from collectors.settings import COLLECTOR, Override, journal
from pgvigil.postgres.session import Session
from tests.support.servers import Database


def test_settings_are_the_values_in_force(reader: Session, each_database: Database) -> None:
    found = COLLECTOR.read(reader)
    told = dict(each_database.execute("SELECT name, setting FROM pg_settings"))
    kept = journal(found).keys() & found.settings.keys()
    assert {name: found.settings[name].value for name in kept} == {name: told[name] for name in kept}
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


def test_values_are_shown_with_their_units(reader: Session) -> None:
    found = COLLECTOR.read(reader).settings
    assert found["shared_buffers"].shown == "128MB"
    assert (found["shared_buffers"].context, found["max_wal_size"].shown) == ("postmaster", "1GB")


def test_what_roles_and_databases_have_of_their_own_is_told_and_a_secret_is_not(
    reader: Session, each_database: Database
) -> None:
    name = each_database.name
    each_database.execute(f"ALTER DATABASE {name} SET work_mem = '64MB'")
    each_database.execute(f"ALTER DATABASE {name} SET app.db_password = 'hunter2=x'")
    each_database.execute(f"ALTER DATABASE {name} SET app.anything = 'hunter5'")
    each_database.execute(f"ALTER DATABASE {name} SET pg_stat_statements.track = 'all'")
    each_database.execute(f'CREATE ROLE "{name} ="; ALTER ROLE "{name} =" SET "app.Token" = \'hunter3\'')
    try:
        reading = COLLECTOR.read(reader)
        assert "hunter" not in repr(reading)
        mine = [one for one in reading.overrides if name in (one.database, str(one.role)[: len(name)])]
        assert Override(None, name, "work_mem", "64MB") in mine
        assert Override(None, name, "pg_stat_statements.track", "all") in mine
        hidden = {one.name: one.value for one in mine if one.name.startswith("app.")}
        assert hidden.keys() == {"app.db_password", "app.token", "app.anything"}
        assert all(value.startswith("(hidden, ") for value in hidden.values())
        kept = journal(reading)
        assert kept[f"work_mem in database {name}"] == "64MB"
        each_database.execute(f"ALTER DATABASE {name} SET app.db_password = 'hunter4'")
        key = f"app.db_password in database {name}"
        assert journal(COLLECTOR.read(reader))[key] != kept[key]
    finally:
        each_database.execute(f'DROP ROLE "{name} ="')


def test_the_journal_holds_what_the_server_has_and_nothing_of_our_session(reader: Session) -> None:
    kept = journal(COLLECTOR.read(reader))
    assert {"shared_buffers", "autovacuum", "server_version", "data_checksums"} <= kept.keys()
    ours = {"application_name", "work_mem", "statement_timeout", "TimeZone", "transaction_isolation"}
    assert ours.isdisjoint(kept)
