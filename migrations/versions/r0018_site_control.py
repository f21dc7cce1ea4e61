"""Who controls a site, and how it fares."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0018"
down_revision = "r0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "site_control",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ticked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("load_kw", sa.Double(), nullable=True),
        sa.Column("import_kw", sa.Double(), nullable=True),
        sa.Column("import_limit_kw", sa.Double(), nullable=True),
        sa.Column("beyond_kw", sa.Double(), nullable=False),
        sa.Column("batteries", sa.JSON(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sa.Column("missed", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("missed >= 0", name=op.f("ck_site_control_missed_nonnegative")),
        sa.CheckConstraint("ticks >= 0", name=op.f("ck_site_control_ticks_nonnegative")),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_site_control")),
    )


def downgrade() -> None:
    op.drop_table("site_control")
