"""Reports that the grid side asked for; how far an event was reported is no longer kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0021"
down_revision = "r0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grid_report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("sites", sa.JSON(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("not_told", sa.JSON(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_report")),
        sa.UniqueConstraint("asked_by", "name", name=op.f("uq_grid_report_asked_by_name")),
    )
    op.create_index("ix_grid_report_due_at", "grid_report", ["due_at"])
    with op.batch_alter_table("grid_event") as table:
        table.drop_column("reported_until")


def downgrade() -> None:
    with op.batch_alter_table("grid_event") as table:
        table.add_column(sa.Column("reported_until", sa.DateTime(timezone=True), nullable=True))
    op.drop_table("grid_report")
