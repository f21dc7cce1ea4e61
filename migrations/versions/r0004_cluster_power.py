"""What clusters draw, measured or modelled; the power caps that are really in force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cluster_power",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kw", sa.Double(), nullable=False),
        sa.Column("is_measured", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("planned_kw", sa.Double(), nullable=True),
        sa.CheckConstraint("kw >= 0", name=op.f("ck_cluster_power_kw_nonnegative")),
        sa.PrimaryKeyConstraint("site", "at", name=op.f("pk_cluster_power")),
    )
    op.create_index("ix_cluster_power_at", "cluster_power", ["at"])
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("power_cap_in_force_w", sa.Double(), nullable=True))
        job.add_column(
            sa.Column("power_cap_problem", sa.String(), nullable=False, server_default="")
        )


def downgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.drop_column("power_cap_problem")
        job.drop_column("power_cap_in_force_w")
    op.drop_index("ix_cluster_power_at", table_name="cluster_power")
    op.drop_table("cluster_power")
