"""Why a planning run was asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("planning_run") as planning_run:
        planning_run.add_column(sa.Column("reason", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("planning_run") as planning_run:
        planning_run.drop_column("reason")
