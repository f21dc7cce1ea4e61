"""What may be imported directly after a grid event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0024"
down_revision = "r0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("grid_event") as batch:
        batch.add_column(sa.Column("rebound_kw", sa.Double(), nullable=True))
        for name in ("rebound_minutes", "rebound_eur_per_kwh"):
            batch.add_column(sa.Column(name, sa.Double(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("grid_event") as batch:
        for name in ("rebound_eur_per_kwh", "rebound_minutes", "rebound_kw"):
            batch.drop_column(name)
