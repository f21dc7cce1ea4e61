"""What else was agreed of a grid event: its kind, ramp, payment, priority, and when it was said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0015"
down_revision = "r0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("grid_event") as batch:
        batch.add_column(
            sa.Column("kind", sa.String(length=40), nullable=False, server_default="limit")
        )
        batch.add_column(sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("ramp_minutes", sa.Double(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("priority", sa.Integer(), nullable=True))
        batch.add_column(
            sa.Column("payment_eur_per_kwh", sa.Double(), nullable=False, server_default="0")
        )


def downgrade() -> None:
    with op.batch_alter_table("grid_event") as batch:
        for name in ("payment_eur_per_kwh", "priority", "ramp_minutes", "issued_at", "kind"):
            batch.drop_column(name)
