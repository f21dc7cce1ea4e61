"""Why a cluster does not answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0008"
down_revision = "r0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("pool_state") as pool_state:
        pool_state.add_column(sa.Column("silence", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("pool_state") as pool_state:
        pool_state.drop_column("silence")
