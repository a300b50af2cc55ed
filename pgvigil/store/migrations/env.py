"""Run by alembic, which is run by `pgvigil.store.migrate` with an open connection."""

from alembic import context

# SQLite's DDL is transactional once the driver's own transaction control is off: a migration that is
# killed or runs out of disk leaves the store as it was.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
