"""Reminders and escalation: when people last heard something, and since when nobody looks after it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("want_reminder", sa.Integer, nullable=False, server_default="0"))
    op.add_column("delivery", sa.Column("seen_reminder", sa.Integer, nullable=False, server_default="0"))
    op.add_column("delivery", sa.Column("told_at", sa.BigInteger))
    op.add_column("incident", sa.Column("unattended_since", sa.BigInteger))
    op.add_column("incident", sa.Column("was_silenced_by", sa.Text))
    op.execute(
        "UPDATE incident SET unattended_since = fired_at WHERE state IN ('firing', 'unknown')"
        " AND acknowledged_by IS NULL AND silenced_by IS NULL AND suppressed_by IS NULL"
    )
