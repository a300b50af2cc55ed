"""The collector `server_extensions` on real servers."""

from collectors.server_extensions import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.servers import Database


def test_what_is_installed_has_both_versions(reader: Session, each_database: Database) -> None:
    assert [(each.name, each.behind) for each in COLLECTOR.read(reader)] == [("plpgsql", False)]
    each_database.execute(
        'CREATE SCHEMA "My s"; CREATE EXTENSION pg_stat_statements SCHEMA "My s" VERSION \'1.7\''
    )
    found = COLLECTOR.read(reader)[0]
    assert (found.name, found.schema, found.installed, found.behind) == (
        "pg_stat_statements",
        "My s",
        "1.7",
        True,
    )
    each_database.execute("ALTER EXTENSION pg_stat_statements UPDATE")
    found = COLLECTOR.read(reader)[0]
    assert (found.installed, found.behind) == (found.offered, False)


def test_an_extension_whose_files_are_gone_is_told(reader: Session, each_database: Database) -> None:
    each_database.execute("CREATE EXTENSION pg_stat_statements")
    each_database.execute("UPDATE pg_extension SET extname = 'of yore' WHERE extname = 'pg_stat_statements'")
    found = {each.name: each for each in COLLECTOR.read(reader)}
    assert (found["of yore"].offered, found["of yore"].behind) == (None, True)
