"""The migrations make exactly the tables that the code speaks of."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from pgvigil.store import Store
from pgvigil.store.database import writing_engine
from pgvigil.store.schema import METADATA, MIGRATIONS, REVISION


def test_the_newest_migration_is_the_revision_of_the_code() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_the_migrated_store_has_the_tables_of_the_code(store: Store, path: Path) -> None:
    engine = writing_engine(path)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()
