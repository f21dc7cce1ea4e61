"""How long errors of published forecasts last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0014"
down_revision = "r0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast_decay",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("fitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("left", sa.JSON(), nullable=False),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_forecast_decay_minutes_positive")),
        sa.PrimaryKeyConstraint("site", "kind", "fitted_at", name=op.f("pk_forecast_decay")),
    )


def downgrade() -> None:
    op.drop_table("forecast_decay")
