"""Energy that starts of jobs used, as their clusters keep account of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_energy",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kwh", sa.Double(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kwh >= 0", name=op.f("ck_job_energy_kwh_nonnegative")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_energy_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "start", name=op.f("pk_job_energy")),
    )
    op.create_index("ix_job_ended", "job", ["ended_at"])


def downgrade() -> None:
    op.drop_index("ix_job_ended", table_name="job")
    op.drop_table("job_energy")
