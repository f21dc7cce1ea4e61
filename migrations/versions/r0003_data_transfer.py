"""Transfers of input data to where jobs are to run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_transfer",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("from_site", sa.String(), nullable=False),
        sa.Column("size_gb", sa.Double(), nullable=False),
        sa.Column("link_gb_per_hour", sa.Double(), nullable=False),
        sa.Column("link_eur_per_gb", sa.Double(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("times_forgotten", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("moving_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("hours", sa.Double(), nullable=False),
        sa.Column("eur", sa.Double(), nullable=True),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_data_transfer_failures_nonnegative")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_data_transfer_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "site", name=op.f("pk_data_transfer")),
    )
    op.create_index("ix_data_transfer_status", "data_transfer", ["status"])


def downgrade() -> None:
    op.drop_table("data_transfer")
