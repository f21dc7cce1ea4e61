"""What clusters say of their pools; how often a job crashed and goes on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pool_state",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("gpus_total", sa.Integer(), nullable=False),
        sa.Column("gpus_available", sa.Integer(), nullable=False),
        sa.Column("gpus_in_use", sa.Integer(), nullable=False),
        sa.Column("gpus_of_others", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("silent_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("site", "pool", name=op.f("pk_pool_state")),
    )
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("crashes", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.drop_column("crashes")
    op.drop_table("pool_state")
