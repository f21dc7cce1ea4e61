"""Forecasts of our own, as they were issued."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0013"
down_revision = "r0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signal_forecast",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("levels", sa.JSON(), nullable=False),
        sa.Column("quantiles", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_signal_forecast_minutes_positive")),
        sa.PrimaryKeyConstraint("site", "kind", "issued_at", name=op.f("pk_signal_forecast")),
    )
    op.create_index("ix_signal_forecast_end", "signal_forecast", ["end_at"])


def downgrade() -> None:
    op.drop_index("ix_signal_forecast_end", table_name="signal_forecast")
    op.drop_table("signal_forecast")
