"""What comes in by streams; keys that may only send, for some sites."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0011"
down_revision = "r0010"
branch_labels = None
depends_on = None


def _instant() -> sa.types.TypeEngine[Any]:
    """As ``CompactInstant``: microseconds since 1970 on SQLite."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    return sa.BigInteger() if is_sqlite else sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "telemetry_value",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("series", sa.String(length=40), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("received_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("site", "series", "device", "at", name=op.f("pk_telemetry_value")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_telemetry_value_at", "telemetry_value", ["at"])
    op.create_table(
        "seen_message",
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seen_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_seen_message")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_seen_message_seen", "seen_message", ["seen_at"])
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
    )
    op.create_index("ix_dead_letter_received", "dead_letter", ["received_at", "id"])
    op.create_table(
        "stream_state",
        sa.Column("stream", sa.String(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("stored", "unchanged", "duplicates", "dead_letters")
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delay_s", sa.Double(), nullable=True),
        sa.Column("backlog", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("delay_s >= 0", name=op.f("ck_stream_state_delay_nonnegative")),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_stream_state")),
    )
    with op.batch_alter_table("api_key") as api_key:
        api_key.add_column(sa.Column("sites", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("api_key") as api_key:
        api_key.drop_column("sites")
    op.drop_table("stream_state")
    op.drop_index("ix_dead_letter_received", table_name="dead_letter")
    op.drop_table("dead_letter")
    op.drop_index("ix_seen_message_seen", table_name="seen_message")
    op.drop_table("seen_message")
    op.drop_index("ix_telemetry_value_at", table_name="telemetry_value")
    op.drop_table("telemetry_value")
