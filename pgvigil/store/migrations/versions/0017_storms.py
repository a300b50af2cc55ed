"""Why a digest is told, and storms: digests that go on after they were told."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("digest", sa.Column("cause", sa.Text, nullable=False, server_default="pause"))
    op.create_table(
        "storm",
        sa.Column("sink", sa.Text, primary_key=True),
        sa.Column("digest_id", sa.Integer, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("told_at", sa.BigInteger, nullable=False),
        sa.Column("remote", sa.Text, nullable=False),
        sa.Column("roster", sa.Text, nullable=False),
    )
