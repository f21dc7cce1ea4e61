"""How published forecasts are weighed, beside how long their errors last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0023"
down_revision = "r0019"
branch_labels = None
depends_on = None

_KEPT = ("site", "kind", "fitted_at", "minutes", "left")


def upgrade() -> None:
    _create("forecast_fit", sa.Column("weights", sa.JSON(), nullable=False))
    _copy("forecast_decay", "forecast_fit", weights=sa.literal([], sa.JSON()))
    op.drop_table("forecast_decay")


def downgrade() -> None:
    _create("forecast_decay")
    _copy("forecast_fit", "forecast_decay")
    op.drop_table("forecast_fit")


def _copy(old: str, new: str, **further: sa.ColumnElement[object]) -> None:
    kept: list[sa.ColumnClause[object]] = [sa.column(name) for name in _KEPT]
    rows = sa.select(*kept, *further.values()).select_from(sa.table(old))
    names = [*_KEPT, *further]
    op.execute(sa.insert(sa.table(new, *map(sa.column, names))).from_select(names, rows))


def _create(name: str, *further: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("fitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("left", sa.JSON(), nullable=False),
        *further,
        sa.CheckConstraint("minutes > 0", name=op.f(f"ck_{name}_minutes_positive")),
        sa.PrimaryKeyConstraint("site", "kind", "fitted_at", name=op.f(f"pk_{name}")),
    )
