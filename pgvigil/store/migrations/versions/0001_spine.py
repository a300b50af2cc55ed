"""Incidents, their history, deliveries, statement texts, small state."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _incidents()
    _deliveries()
    op.create_table(
        "statement_text",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("dbid", sa.BigInteger, nullable=False),
        sa.Column("userid", sa.BigInteger, nullable=False),
        sa.Column("queryid", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.UniqueConstraint("target", "dbid", "userid", "queryid", name="statement_text_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "state",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("database", sa.Text),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("peak", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("peak_value", sa.Float),
        sa.Column("pending_since", sa.BigInteger, nullable=False),
        sa.Column("fired_at", sa.BigInteger),
        sa.Column("last_true_at", sa.BigInteger, nullable=False),
        sa.Column("state_since", sa.BigInteger, nullable=False),
        sa.Column("evaluated_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("explains", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("reopened", sa.Integer, nullable=False),
        sa.Column("parent_id", sa.Integer),
        sa.Column("suppressed_by", sa.Text),
        sa.Column("silenced_by", sa.Text),
        sa.Column("acknowledged_by", sa.Text),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("state <> 'resolved'")
    op.create_index("incident_open", "incident", ["fingerprint"], unique=True, sqlite_where=is_open)
    op.create_index("incident_target", "incident", ["target", "state", "resolved_at"])
    op.create_index("incident_resolved_at", "incident", ["resolved_at"])
    op.create_table(
        "incident_event",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column(
            "incident_id", sa.Integer, sa.ForeignKey("incident.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_index("incident_event_incident", "incident_event", ["incident_id"])


def _deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column(
            "incident_id", sa.Integer, sa.ForeignKey("incident.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("sink", sa.Text, primary_key=True),
        sa.Column("want_version", sa.Integer, nullable=False),
        sa.Column("urgency", sa.Integer, nullable=False),
        sa.Column("due_since", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("mention", sa.Text, nullable=False),
        sa.Column("seen_version", sa.Integer, nullable=False),
        sa.Column("seen_state", sa.Text),
        sa.Column("seen_level", sa.Integer),
        sa.Column("remote", sa.Text, nullable=False),
        sa.Column("act_key", sa.Text),
        sa.Column("act_at", sa.BigInteger),
        sa.Column("maybe_seen", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", sa.BigInteger),
        sa.Column("last_error", sa.Text, nullable=False),
    )
    op.create_index("delivery_queue", "delivery", ["sink", "status", "urgency", "due_since"])
