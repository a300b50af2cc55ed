"""Who keeps an incident quiet, and until when: for messages, which ask the store for nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("incident", sa.Column("silencer", sa.Text))
    op.add_column("incident", sa.Column("silenced_until", sa.BigInteger))
