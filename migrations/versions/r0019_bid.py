"""Possible calls that were priced, and whether they were accepted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0019"
down_revision = "r0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bid",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("limit_kw", sa.Double(), nullable=False),
        sa.Column("payment_eur_per_kwh", sa.Double(), nullable=False),
        sa.Column("breach_eur_per_kwh", sa.Double(), nullable=False),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evaluated_by", sa.String(), nullable=False),
        sa.Column("is_met", sa.Boolean(), nullable=False),
        sa.Column("cost_eur", sa.Double(), nullable=True),
        sa.Column("least_eur", sa.Double(), nullable=False),
        sa.Column("most_eur", sa.Double(), nullable=True),
        sa.Column("payment_eur", sa.Double(), nullable=False),
        sa.Column("moved", sa.JSON(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.String(), nullable=True),
        sa.CheckConstraint("end_at > start_at", name=op.f("ck_bid_ends_after_start")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bid")),
    )


def downgrade() -> None:
    op.drop_table("bid")
