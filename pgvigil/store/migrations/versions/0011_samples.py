"""The history of readings."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "sample_block",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("collector", sa.Text, nullable=False),
        sa.Column("database", sa.Text),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("every_s", sa.Float, nullable=False),
        sa.Column("coarse", sa.Boolean, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("sample_block_oldest", "sample_block", ["last_at", "size_bytes"])
    op.create_index("sample_block_fine", "sample_block", ["coarse", "last_at"])
    op.create_index("sample_block_place", "sample_block", ["target", "collector", "first_at"])
