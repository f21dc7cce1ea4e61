"""Checkpoints that failed, and what a job is worth without them; clocks that are apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(
            sa.Column("work_saved_hours", sa.Double(), nullable=False, server_default="0")
        )
        job.add_column(
            sa.Column("failed_checkpoints", sa.Integer(), nullable=False, server_default="0")
        )
        job.add_column(
            sa.Column("checkpoint_problem", sa.String(), nullable=False, server_default="")
        )
    # What was paused before had saved: nobody told otherwise. Of one that runs it is what it was
    # when it last went on.
    op.execute(
        "UPDATE job SET work_saved_hours = work_done_hours WHERE starts > 1 OR status = 'suspended'"
    )
    with op.batch_alter_table("pool_state") as pool_state:
        pool_state.add_column(sa.Column("clock_ahead_s", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("pool_state") as pool_state:
        pool_state.drop_column("clock_ahead_s")
    with op.batch_alter_table("job") as job:
        job.drop_column("checkpoint_problem")
        job.drop_column("failed_checkpoints")
        job.drop_column("work_saved_hours")
