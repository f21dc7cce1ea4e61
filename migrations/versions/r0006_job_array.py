"""Which array a job is a task of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("array_name", sa.String(), nullable=True))
    op.create_index("ix_job_array", "job", ["array_name", "submitted_at"])


def downgrade() -> None:
    op.drop_index("ix_job_array", table_name="job")
    with op.batch_alter_table("job") as job:
        job.drop_column("array_name")
