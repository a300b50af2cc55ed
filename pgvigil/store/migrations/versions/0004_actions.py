"""What people do to incidents, and how bad an incident was when somebody acknowledged it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("incident", sa.Column("acknowledged_at", sa.BigInteger))
    op.add_column("incident", sa.Column("acknowledged_level", sa.Integer))
    op.create_table(
        "action",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "incident_id", sa.Integer, sa.ForeignKey("incident.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("action_incident", "action", ["incident_id", "at"])
