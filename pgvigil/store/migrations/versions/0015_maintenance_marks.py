"""Which mark in a target a silence holds for, and when a silence was ended."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("silence", sa.Column("expired_at", sa.BigInteger))
    op.add_column("silence", sa.Column("mark", sa.Text))
