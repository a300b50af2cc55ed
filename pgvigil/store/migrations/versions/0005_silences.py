"""Silences."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "silence",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("match", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("until_resolved", sa.Boolean, nullable=False),
        sa.Column("episodes", sa.Text, nullable=False),
        sa.Column("worst", sa.Integer),
        sa.Column("matched_at", sa.BigInteger),
        sa.Column("expired_by", sa.Text),
        sqlite_autoincrement=True,
    )
