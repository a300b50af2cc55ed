"""What is remembered of readings: series, journals and their changes, and of which cluster they are."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "cluster",
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("identifier", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "series",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("database", sa.Text, nullable=False),
        sa.Column("series", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("target", "feed", "database", "series", "key", name="series_name"),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("database", sa.Text, nullable=False),
        sa.Column("known", sa.Text, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("target", "feed", "database", name="journal_place"),
    )
    op.create_table(
        "journal_change",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("database", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("old", sa.Text),
        sa.Column("new", sa.Text),
        sa.Column("after", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("target", "feed", "database", "key", "at", name="journal_change_key"),
    )
