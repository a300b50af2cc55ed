"""Why people hear of something there, or only now."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("why", sa.Text, nullable=False, server_default=""))
