"""What grid events came to, every time it was reckoned anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0017"
down_revision = "r0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_settlement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("payment_eur", sa.Double(), nullable=True),
        sa.Column("penalty_eur", sa.Double(), nullable=True),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.CheckConstraint("revision >= 0", name=op.f("ck_event_settlement_revision_nonnegative")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["grid_event.id"], name=op.f("fk_event_settlement_event_id_grid_event")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_settlement")),
        sa.UniqueConstraint(
            "event_id", "revision", name=op.f("uq_event_settlement_event_id_revision")
        ),
    )


def downgrade() -> None:
    op.drop_table("event_settlement")
